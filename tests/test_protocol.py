"""Promises 1 to 4 on paper: every order of the steps of publish and reap, with a crash at each, in the model."""

import pytest

from model_protocol import DESIGNS, MUTANTS, try_design

pytestmark = pytest.mark.slow

# Answering changes nothing, a purge may look at a name that is gone, and SQLite begins by itself.
HARMLESS = {"answer", "list", "begin"}
# The checkpoint at the end of a replay makes all durable, and nobody works yet; a removal that a power cut takes back is
# made again, and so is one that never was, at the next start.
HARMLESS_OF = {
    "checkpoint": {"remove_entries", "sync_log"},
    "replay": {"lock", "sync_blob", "sync_dir", "newest", "sync_log"},
}


@pytest.mark.parametrize("name", DESIGNS)
def test_no_order_of_steps_and_no_crash_breaks_the_protocol(name, record_property):
    found = try_design(DESIGNS[name])
    record_property("states", found.states)
    assert found.fault is None, found.way
    assert found.states > 40_000


@pytest.mark.parametrize("name", MUTANTS)
def test_the_model_finds_what_is_wrong_with(name):
    assert try_design(MUTANTS[name]).fault in {"dangling row", "upload lost", "delete undone", "leak"}


def spared():
    """The design, less one step: every step that counts. A completion has the steps of an upload and of a delete."""
    yield from less_one_step("row and look in one commit", ["upload", "delete", "sweep"])
    yield from less_one_step("few bytes", ["upload", "checkpoint", "replay"])


def less_one_step(name, programs):
    design = DESIGNS[name]
    for program in programs:
        steps = getattr(design, program).split()
        for n, word in enumerate(steps):
            if word not in HARMLESS | HARMLESS_OF.get(program, set()):
                less = " ".join(steps[:n] + steps[n + 1 :])
                yield pytest.param(design._replace(**{program: less}), id=f"{name}-{program}-{n}-{word}")


@pytest.mark.parametrize("design", list(spared()))
def test_no_step_can_be_left_out(design):
    assert try_design(design).fault
