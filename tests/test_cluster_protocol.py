"""Promise 19 on paper: every order of the steps of boxes, database and object store, with what may go wrong at each."""

import os

import pytest

from model_cluster import (
    DESIGN,
    DESIGNS,
    DOUBT,
    FAIL,
    FAIR_WEATHER,
    FULL,
    LIE,
    LOSS,
    MUTANTS,
    SHORT,
    SHORT_DOUBT,
    SHORT_FAIL,
    SHORT_FAILOVER,
    SHORT_LIE,
    SHORT_LOSS,
    SHORT_SKIP,
    SKIP,
    try_design,
)

pytestmark = pytest.mark.slow

LONG = bool(os.environ.get("LAZU_LONG_TESTS"))
LOST = ("with objects that are taken for lost", "with one that is")
KEPT = "with contents that uploads keep"
HARM = {"dangling row", "upload lost", "delete undone", "leak"}


@pytest.mark.parametrize(
    "trial",
    [SHORT, SHORT_DOUBT, SHORT_FAILOVER, SHORT_FAIL, SHORT_LIE, SHORT_LOSS, SHORT_SKIP],
    ids=["with crashes", "with answers lost", "with a failover", "with uploads that fail", *LOST, KEPT],
)
def test_no_order_of_calls_and_no_crash_breaks_the_protocol(trial, record_property):
    found = try_design(DESIGN, trial)
    record_property("states", found.states)
    assert found.fault is None, found.way
    assert found.states > 100_000


@pytest.mark.parametrize("name", MUTANTS)
def test_the_model_finds_what_is_wrong_with(name):
    told = {"lost object": SHORT_LOSS, "another server": SHORT_FAILOVER, "doubt": SHORT_DOUBT, "failed": SHORT_FAIL, "without a row": SHORT_SKIP}
    trial = next((trial for words, trial in told.items() if words in name), SHORT)
    assert try_design(MUTANTS[name], trial).fault in HARM


def test_a_lock_around_the_calls_holds_only_while_nothing_goes_wrong():
    assert try_design(FAIR_WEATHER).fault is None


if LONG:

    @pytest.mark.parametrize(
        "trial",
        [FULL, DOUBT, FAIL, LIE, LOSS, SKIP],
        ids=["with crashes", "with answers lost", "with uploads that fail", *LOST, KEPT],
    )
    @pytest.mark.parametrize("name", DESIGNS)
    def test_the_whole_walk(name, trial, record_property):
        found = try_design(DESIGNS[name], trial)
        record_property("states", found.states)
        assert found.fault is None, found.way
