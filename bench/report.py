"""What a run found, as Markdown: for the terminal and for results.md."""

import os
import platform
import shutil
import statistics
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from bench.measure import Race
from bench.results import Aim, Missing, Result, Unit

PACKAGES = ("flask", "werkzeug", "gunicorn", "peewee", "pysqlite3", "multipart")
PEERS = ("granian", "fastapi", "uvicorn", "requests")


def number(value: float) -> str:
    """Three figures, without an exponent."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def section(result: Result | Missing, name: str) -> str:
    """One row: a table of contenders, then a table of aims."""
    if isinstance(result, Missing):
        return f"### {name}\n\nNot measured: {result}.\n"
    lines = [f"### {result.title}", "", f"`bench/run {name}`", ""]
    lines += [f"| | {result.unit.name} | spread | {result.unit.cost_name} | against {result.base} |"]
    lines += ["|---|--:|--:|--:|--:|"]
    lines += [line(result.race, contender, result.unit, result.base) for contender in result.race.samples]
    lines += ["", "| aim | measured | wanted | |", "|---|--:|--:|---|"]
    lines += [aim(each) for each in result.aims]
    lines += [""] + [f"{note}\n" for note in result.notes]
    return "\n".join(lines)


def line(race: Race, name: str, unit: Unit, base: str) -> str:
    """Median, the least and the most of all rounds, the cost's median, the median of the rounds' ratios of the rate."""
    figures = [unit.figure(sample) for sample in race.samples[name]]
    cost = statistics.median(unit.cost(sample) for sample in race.samples[name])
    ratio = f"{number(race.ratio(name, base))} ×" if base in race and base != name else ""
    spread = f"{number(min(figures))} to {number(max(figures))}"
    return f"| {name} | {number(statistics.median(figures))} | {spread} | {number(cost) if cost else ''} | {ratio} |"


def aim(each: Aim) -> str:
    sign = "≤" if each.most else "≥"
    verdict = "met" if each.met else "**not met**"
    return f"| {each.text} | {number(each.value)} | {sign} {number(each.limit)} | {verdict} |"


def page(sections: list[str], how: str) -> str:
    """The whole of results.md."""
    return f"{HEAD.format(how=how)}\n{machine()}\n\n" + "\n".join(sections)


HEAD = """# Lazu beside its floors and its peers

Written by `bench/run`; edits are lost. {how}

Every row is a race: all its contenders run in turn in the same minutes, once to warm up and then in rounds, forward and
backward. Figures are the median and the range of the rounds. A ratio is the median of the ratios of each round, so a
machine that is slow for a minute is slow for all. "CPU" is what the server's processes used (children that ended
included), not the client's and not the kernel's own writing to the disk. GB is 10^9 bytes, MiB is 2^20.
Clients and servers share the machine. Servers in Python get one process a CPU and 16 threads each.
"""


def machine() -> str:
    """What it ran on."""
    cpu = next((row.partition(":")[2].strip() for row in read("/proc/cpuinfo") if row.startswith("model name")), "")
    kib = next((int(row.split()[1]) for row in read("/proc/meminfo") if row.startswith("MemTotal")), 0)
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES + PEERS)
    return (
        f"Machine: {len([row for row in read('/proc/cpuinfo') if row.startswith('processor')])} × {cpu}, "
        f"{kib / 2**20:.0f} GiB of memory, {filesystem()}, Linux {platform.release()}. "
        f"Python {platform.python_version()} ({os.path.realpath(sys.executable)}), {packages}, "
        f"{tool('nginx', '-v')}, {tool('curl', '--version')}."
    )


def read(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def filesystem() -> str:
    """The kind of file system that the benchmark's folder is on."""
    words = ["stat", "-f", "-c", "%T", str(Path(__file__).parent)]
    out = subprocess.run(words, capture_output=True, text=True, check=False)
    return out.stdout.strip().replace("ext2/ext3", "ext4")


def tool(*words: str) -> str:
    path = shutil.which(words[0], path="/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin") or words[0]
    out = subprocess.run([path, *words[1:]], capture_output=True, text=True, check=False)
    return " ".join((out.stdout + out.stderr).splitlines()[0].replace("nginx version: ", "").split()[:2])
