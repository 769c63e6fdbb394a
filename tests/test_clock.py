"""The purge and the clock: exact to the second, harmless when the clock goes back, doubtful when it jumps ahead."""

import json
from datetime import timedelta

import pytest
from freezegun import freeze_time

from helpers.in_process import AUTH, START, blobs, content, purge, put


def refused(app, *options):
    done = app.test_cli_runner().invoke(args=["purge", *options])
    assert done.exit_code == 1
    return done.output


@pytest.mark.parametrize(("seconds", "files"), [(-1, 1), (0, 0), (1, 0)])
def test_a_file_lives_thirty_days_to_the_second(app, http, seconds, files):
    with freeze_time(START) as clock:
        put(http)
        clock.tick(timedelta(days=30, seconds=seconds))
        purge(app)
        assert len(blobs(app)) == files


def test_a_clock_set_back_removes_nothing_and_breaks_nothing(app, http):
    with freeze_time(START) as clock:
        old = put(http, b"old")
        clock.tick(timedelta(days=29))
        purge(app)
        clock.tick(timedelta(days=-400))
        assert "removed 0 files" in purge(app)
        new = put(http, b"new")
        assert content(http, old) == b"old"
        clock.move_to(START)
        clock.tick(timedelta(days=30))
        assert "removed 2 files" in purge(app), "old by its own time; new was made 400 days ago"
        assert http.get(f"/v1/files/{new['id']}", headers=AUTH).status_code == 404


def test_a_jump_ahead_stops_the_purge_until_it_is_forced(app, http):
    with freeze_time(START) as clock:
        kept = [put(http, str(i).encode()) for i in range(20)]
        purge(app)
        clock.tick(timedelta(days=1))
        clock.tick(timedelta(days=3650))
        assert "--force" in refused(app)
        put(http, b"came after the jump")
        assert "--force" in refused(app, "--json"), "a file of the wrong time proves nothing"
        assert len(blobs(app)) == 21
        clock.tick(timedelta(days=-3650))
        assert content(http, kept[0]) == b"0"
        assert "removed 0 files" in purge(app)
        clock.tick(timedelta(days=3650))
        assert json.loads(purge(app, "--force", "--json"))["files"] == 20


def test_a_daily_purge_is_never_stopped(app, http):
    """Five weeks of four files a day, then nobody comes any more: the last ones go day by day."""
    with freeze_time(START) as clock:
        for day in range(72):
            if day < 36:
                for i in range(4):
                    put(http, f"{day}-{i}".encode())
            purge(app)
            clock.tick(timedelta(days=1))
        assert blobs(app) == []


def test_a_cron_that_was_broken_for_months_is_no_jump_while_files_came(app, http):
    with freeze_time(START) as clock:
        purge(app)
        for _ in range(45):
            put(http, clock().isoformat().encode())
            clock.tick(timedelta(days=2))
        assert "removed 31 files" in purge(app)
