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

POINTS = int(os.environ.get("LAZU_CRASH_POINTS", "1300"))
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
    found = run.run("kill", POINTS, spread=True)
    assert found.faults == []
    assert found.points == POINTS
    assert found.killed > POINTS * 0.98  # a script's boundaries are counted once; some run a call shorter


def test_another_process_at_any_boundary_finds_rows_and_blobs_in_step():
    found = run.run("pause", PAUSES, spread=True)
    assert found.faults == []
    assert found.points > PAUSES // 2


def test_a_power_cut_at_any_boundary_loses_nothing():
    power_or_skip(CUTS)
    found = run.cuts(CUTS)
    assert [fault for result in found.values() for fault in result.faults] == []
    assert sum(result.points for result in found.values()) == CUTS


def test_an_upload_and_a_deletion_take_their_steps_in_this_order():
    """The order that the protocol stands on; and that the shim sees every step of it."""
    assert steps("+c -c") == [
        "fallocate blob",
        "write blob",
        "ftruncate blob",  # gives back what was reserved and not filled
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


def test_few_bytes_are_named_and_committed_and_a_checkpoint_makes_their_blob_durable():
    assert steps("+a checkpoint -a +a") == [
        "write blob",
        "link blob",
        *LOG,
        "fsync folder",  # of the log, which is new
        *LOG,
        "syncfs folder",
        *LOG,
        *LOG,
        *LOG,
        "unlink blob",
        "write blob",
        "link blob",
        *LOG,
    ]


def steps(victim):
    """The calls of a story, each with the place it is made on; the same one in a row counts as one."""
    calls = run.run("kill", 0, [story(victim, base="+b")]).calls
    found = [f"{call} {place(tail)}" for call, tail in calls if not tail.endswith("-shm")]
    return [step for step, before in zip(found, ["", *found], strict=False) if step != before]


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
    "checkpoint_before_the_replay": story("", base="+a +b .a 0b"),
}
PAUSED = {
    "unlink_without_the_lock": story("+a", "-a", base="+a"),
    "sweep_without_the_lock": story("+a", "purge"),
    "unlink_without_looking_again": story("+a", "-a", base="+a"),
    "reap_that_only_reads": story("-a", "+a?", base="+a"),
}
# The power is cut after a pause, or after a kill; the last word says where the database is.
CUT_OFF = {
    "no_fsync_of_the_blob": ("pause", story("+c", "+c^"), "same"),
    "no_fsync_of_the_directory": ("pause", story("+c", "+c^"), "apart"),
    "no_fsync_of_the_directory_on_a_dedup_hit": ("pause", story("+c", "+c^"), "apart"),
    "synchronous_normal": ("pause", story("+a", "+a^"), "same"),
    "no_entry_in_the_journal": ("pause", story("+a", "+a^"), "same"),
    "no_entry_on_a_dedup_hit": ("pause", story("+a", "+a^"), "apart"),
    "few_bytes_replace_without_a_sync": ("kill", story("+a", "+b", base="+a checkpoint"), "same"),
    "no_replay": ("pause", story("+a", "+a^"), "apart"),
    "replay_that_trusts_names": ("pause", story("+a", "+a^"), "same"),
    "checkpoint_without_a_sync": ("kill", story("+a checkpoint -a +a", base="+b"), "apart"),
    "checkpoint_that_removes_what_came_meanwhile": ("pause", story("+b checkpoint", "checkpoint +a"), "apart"),
    "ids_used_twice": ("pause", story("+b checkpoint", "checkpoint +a"), "apart"),
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
    how, number, place = CUT_OFF[mutant]
    assert found_out(run.run(how, 200, [number], power=place, mutant=mutant, first=True).faults)
