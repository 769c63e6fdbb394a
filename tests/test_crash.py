"""Promises 1 to 4 on the real code: killed, paused and cut off from power at every boundary (tests/crash/).

By hand, for longer: `python tests/crash/run.py kill 10000`, `pause 2000`, `cut 1000`, or LAZU_CRASH_POINTS, _PAUSES
and _CUTS for this file.
"""

import os
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).with_name("crash")))

import power
import run
from script import STORIES

pytestmark = pytest.mark.slow

POINTS = int(os.environ.get("LAZU_CRASH_POINTS", "2600"))
PAUSES = int(os.environ.get("LAZU_CRASH_PAUSES", "250"))
CUTS = int(os.environ.get("LAZU_CRASH_CUTS", "200"))

MISSING = power.missing()


@pytest.fixture(autouse=True)
def _compiler():
    if not shutil.which("gcc"):
        pytest.skip(f"no gcc: {POINTS} kills, {PAUSES} pauses and {CUTS} power cuts not run")


def power_or_skip(number):
    if MISSING:
        pytest.skip(f"{MISSING}: {number} power cuts not run")


def test_a_kill_at_any_boundary_loses_nothing_and_leaks_nothing():
    found = run.run("kill", POINTS)
    assert found.faults == []
    assert found.points == POINTS
    assert found.killed > POINTS * 0.98  # a script's boundaries are counted once; some run a call shorter


def test_another_process_at_any_boundary_finds_rows_and_blobs_in_step():
    found = run.run("pause", PAUSES)
    assert found.faults == []
    assert found.points > PAUSES // 2


def test_a_power_cut_at_any_boundary_loses_nothing():
    power_or_skip(CUTS)
    found = run.cuts(CUTS)
    assert [fault for result in found.values() for fault in result.faults] == []
    assert sum(result.points for result in found.values()) == CUTS


def test_an_upload_and_a_deletion_take_their_steps_in_this_order():
    """The order that the protocol stands on; and that the shim sees every step of it."""
    calls = run.run("kill", 0, [story("+a -a", base="+b")]).calls
    steps = [f"{call} {place(tail)}" for call, tail in calls if not tail.endswith("-shm")]
    assert [step for step, before in zip(steps, ["", *steps], strict=False) if step != before] == [
        "write blob",
        "fsync blob",
        "link blob",
        "fsync shard",
        *LOG,
        "fsync folder",  # of the log, which is new
        *LOG,
        *LOG,
        *LOG,
        "unlink blob",
    ]


#: A commit: the row in, the row out, and the one over what may be in doubt, which comes before the unlink.
LOG = ("pwrite log", "fsync log")


def place(tail):
    if tail.endswith("-wal"):
        return "log"
    if "#" in tail or "/" not in tail:
        return "blob"
    return "shard" if "/blobs/" in tail else "folder"


def story(victim, peer="", base=""):
    return STORIES.index((base, victim, peer))


# What is wrong, how it is to be found, and the story in which: a mutant that is missed fails its test.
KILLS = {
    "row_before_bytes": story("+a"),
    "no_sweep": story("+a"),
    "unlink_inside_the_transaction": story("-a", base="+a"),
    "write_in_place": story("+a", "+a"),
    "reap_that_only_reads": story("+a", "purge!"),
    "part_row_before_bytes": story("<d"),
    "parts_removed_before_the_file_is_committed": story("=d", base="<d"),
    "parts_not_counted": story("<d"),
    "no_purge_of_dead_parts": story("=d", base="<d"),
}
PAUSED = {
    "unlink_without_the_lock": story("+a", "-a", base="+a"),
    "sweep_without_the_lock": story("+a", "purge"),
    "unlink_without_looking_again": story("+a", "-a", base="+a"),
    "reap_that_only_reads": story("-a", "+a?", base="+a"),
}
CUT_OFF = {
    "no_fsync_of_the_blob": "same",
    "no_fsync_of_the_directory": "apart",
    "no_fsync_of_the_directory_on_a_dedup_hit": "apart",
    "synchronous_normal": "same",
}


KINDS = ("lost", "deleted and back", "dangling", "altered", "left on disk")


def found_out(faults):
    """Whether a promise was broken, and nothing else went wrong."""
    return bool(faults) and all(fault.removesuffix(" after a purge").endswith(KINDS) for fault in faults)


@pytest.mark.parametrize("mutant", KILLS)
def test_a_kill_finds(mutant):
    assert found_out(run.run("kill", 1000, [KILLS[mutant]], mutant=mutant, first=True).faults)


@pytest.mark.parametrize("mutant", PAUSED)
def test_a_pause_finds(mutant):
    assert found_out(run.run("pause", 1000, [PAUSED[mutant]], mutant=mutant, first=True).faults)


@pytest.mark.parametrize("mutant", CUT_OFF)
def test_a_power_cut_finds(mutant):
    power_or_skip("those")
    found = run.run("pause", 100, [story("+a", "+a^")], power=CUT_OFF[mutant], mutant=mutant, first=True)
    assert found_out(found.faults)
