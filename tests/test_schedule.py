"""The lines of crontab.example fire once a day at 04:30 Asia/Shanghai, in any zone, and over daylight saving."""

import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from helpers.server import PROJECT

SHANGHAI = ZoneInfo("Asia/Shanghai")
#: UTC; no daylight saving; daylight saving north and south; a changeover in 2026 by half an hour; quarters of an hour.
ZONES = ["UTC", "Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]
START, DAYS = datetime(2026, 1, 1, tzinfo=UTC), 365


def lines():
    """Each line that may be used: minute, hour, command, and whether CRON_TZ stands before it."""
    cronie = False
    for line in (PROJECT / "crontab.example").read_text().splitlines():
        cronie = cronie or "CRON_TZ=Asia/Shanghai" in line
        found = re.match(r"#?(\S+) (\S+) \* \* \*\s+(.*flask purge.*)", line)
        if found:
            yield *found.groups(), cronie


def fields(text, size):
    """The values that a field of a crontab stands for."""
    if text.startswith("*"):
        return set(range(0, size, int(text[2:] or 1) if "/" in text else 1))
    return {int(value) for value in text.split(",")}


def minutes(zone):
    """Every quarter of an hour of the year as cron's zone shows it, as Vixie cron and cronie wake to it."""
    moment = START
    while moment < START + timedelta(days=DAYS):
        yield moment, moment.astimezone(zone)
        moment += timedelta(minutes=15)


def runs(line, zone):
    """When the purge runs, in Shanghai's time; a shell test of Shanghai's time in the line counts."""
    minute, hour, command, cronie = line
    allowed = re.search(r"= (\d\d:\d\d) \]", command)
    for _, local in minutes(SHANGHAI if cronie else zone):
        if local.minute in fields(minute, 60) and local.hour in fields(hour, 24):
            there = local.astimezone(SHANGHAI)
            if not allowed or there.strftime("%H:%M") == allowed[1]:
                yield there


def daily(moments):
    assert [moment.strftime("%H:%M") for moment in moments] == ["04:30"] * len(moments)
    assert len({moment.date() for moment in moments}) == len(moments)
    return len(moments)


FIXED_UTC, FIXED_SHANGHAI, TESTED, CRONIE = list(lines())


def test_the_lines_are_those_this_test_thinks_of():
    assert (FIXED_UTC[:2], FIXED_SHANGHAI[:2]) == (("30", "20"), ("30", "4"))
    assert (TESTED[3], CRONIE[3], CRONIE[:2]) == (False, True, ("30", "4"))


@pytest.mark.parametrize(("line", "zone"), [(FIXED_UTC, "UTC"), (FIXED_SHANGHAI, "Asia/Shanghai")])
def test_a_fixed_line_in_its_zone_fires_once_a_day(line, zone):
    assert daily(list(runs(line, ZoneInfo(zone)))) == DAYS


@pytest.mark.parametrize("zone", ZONES)
def test_cronie_with_its_zone_fires_once_a_day_whatever_the_daemon_s(zone):
    assert daily(list(runs(CRONIE, ZoneInfo(zone)))) == DAYS


@pytest.mark.parametrize("zone", ZONES)
def test_the_line_for_any_zone_fires_once_a_day(zone):
    minute, *rest = TESTED
    # The page says: every quarter of an hour where the zone's offset is not in whole hours.
    step = "*/15" if zone in ("Asia/Kathmandu", "Australia/Lord_Howe") else minute
    assert daily(list(runs((step, *rest), ZoneInfo(zone)))) == DAYS


def test_the_fixed_line_in_a_zone_with_daylight_saving_would_be_wrong():
    """The reason for the other line; and the proof that this test can fail."""
    moments = [moment.strftime("%H:%M") for moment in runs(FIXED_UTC, ZoneInfo("Europe/Berlin"))]
    assert set(moments) == {"02:30", "03:30"}


@pytest.mark.parametrize("shown", ["04:30", "05:30", "04:29"])
def test_the_shell_s_own_test_of_the_time_lets_one_minute_through(tmp_path, shown):
    """The line as cron gives it to sh: \\% is %, and `date` says what we want."""
    fake = tmp_path / "date"
    fake.write_text(f'#!/bin/sh\n[ "$TZ" = Asia/Shanghai ] && [ "$1" = "+%H:%M" ] && echo {shown}\n')
    fake.chmod(0o755)
    guard = TESTED[2].replace("\\%", "%").split(" && cd ")[0]
    done = subprocess.run(["sh", "-c", f"{guard} && echo runs"], env={"PATH": f"{tmp_path}:/bin"}, capture_output=True, text=True)
    assert done.stdout == ("runs\n" if shown == "04:30" else "")


@pytest.mark.parametrize("folder", ["storage", "elsewhere"])
def test_the_purge_runs_wherever_its_log_may_go(tmp_path, folder):
    """Where the storage is another, `>>storage/purge.log` failed, and the shell started no purge."""
    (tmp_path / folder).mkdir()
    flask = tmp_path / ".venv/bin/flask"
    flask.parent.mkdir(parents=True)
    flask.write_text("#!/bin/sh\ntouch purged\necho removed >&2\n")
    flask.chmod(0o755)
    subprocess.run(["sh", "-c", FIXED_UTC[2].replace("/opt/lazu", str(tmp_path))], stderr=subprocess.DEVNULL, check=False)
    assert (tmp_path / "purged").exists()
    assert [path.read_text() for path in tmp_path.glob("storage/purge.log")] == ["removed\n"] * (folder == "storage")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("start", ["2026-03-07", "2026-03-27", "2026-04-03", "2026-10-02", "2026-10-23", "2026-10-30"])
def test_systemd_s_calendar_fires_once_a_day_over_daylight_saving(zone, start):
    timers = [text for path in (PROJECT / "deploy").rglob("*.timer") for text in re.findall(r"OnCalendar=(.+)", path.read_text())]
    for calendar in timers or ["*-*-* 04:30:00 Asia/Shanghai"]:
        command = ["systemd-analyze", "calendar", "--iterations=5", f"--base-time={start} 00:00:00 UTC", calendar]
        said = subprocess.run(command, env={"TZ": zone, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True).stdout
        times = re.findall(r"\(in UTC\): \w+ (\S+ \S+) UTC", said) or re.findall(r"(?:elapse|#\d+): \w+ (\S+ \S+) UTC", said)
        assert [time.split()[1] for time in times] == ["20:30:00"] * 5, said
        assert len({time.split()[0] for time in times}) == 5
