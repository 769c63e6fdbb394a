"""`bench/run`: races the rows asked for and reports them."""

import argparse
import os
import shutil
import sys
import time
from pathlib import Path

from bench import cluster, growth, kept, neighbours, picture, report
from bench.procs import ROOT, WORK, shed
from bench.results import Missing, Plan, Result
from bench.rows import ROWS

#: Tables of their own, no races: each is asked for alone.
TABLES = {"growth": growth.table, "neighbours": neighbours.table, "cluster": cluster.table}


def main() -> None:
    asked = arguments()
    plan = Plan(asked.quick, frozenset(asked.skip), tuple(asked.size))
    try:
        if asked.rows in ([name] for name in TABLES):
            clean()
            print(TABLES[asked.rows[0]](plan))
        elif asked.merge:
            merge()
        else:
            races(asked, plan)
    finally:
        clean()


def races(asked: argparse.Namespace, plan: Plan) -> None:
    whole = not asked.rows and not asked.quick and not asked.skip
    out = Path(asked.out) if asked.out else ROOT / "bench" if whole else WORK / "report"
    started = time.monotonic()
    clean()
    results = {name: measured(name, plan) for name in asked.rows or ROWS}
    minutes = (time.monotonic() - started) / 60
    how = f"{'A quick run' if asked.quick else 'A full run'} of {minutes:.0f} minutes on {time.strftime('%Y-%m-%d')}."
    write(out, results, how)


def merge() -> None:
    """The report of a whole run that was made in pieces."""
    rows = kept.all_rows()
    minutes = sum(row.seconds for row in rows.values()) / 60
    days = sorted({row.day for row in rows.values()})
    how = f"A full run in pieces, of {minutes:.0f} minutes together, on {' and '.join(days)}."
    write(ROOT / "bench", {name: row.result for name, row in rows.items()}, how)


def write(out: Path, results: dict[str, Result | Missing], how: str) -> None:
    sections = [report.section(result, name) for name, result in results.items()]
    drawn = {name: each for name, each in results.items() if isinstance(each, Result)}
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.md").write_text(report.page(sections, how))
    (out / "results.svg").write_text(picture.draw(drawn))
    print(f"\n{how} Written: {out}/results.md and {out}/results.svg")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/run", description="Measure Lazu beside its floors and its peers.")
    which = f"only these: {', '.join(ROWS)}; or one of {', '.join(TABLES)}, alone"
    parser.add_argument("rows", nargs="*", metavar="ROW", help=which)
    parser.add_argument("--quick", action="store_true", help="smaller files, fewer rounds: within 3 minutes, rougher")
    parser.add_argument("--skip", action="append", default=[], metavar="CONTENDER", help="leave a contender out")
    parser.add_argument("--out", help="folder of the report (default: bench/ for a whole run, else .bench/report)")
    parser.add_argument("--size", action="append", type=int, default=[], help="files, for one column of growth")
    parser.add_argument("--merge", action="store_true", help="run nothing: report each row's last full run, in bench/")
    asked = parser.parse_args()
    unknown = set(asked.rows) - set(ROWS)
    if unknown and not (len(asked.rows) == 1 and asked.rows[0] in TABLES):
        parser.error(f"no row called {', '.join(sorted(unknown))}")
    return asked


def measured(name: str, plan: Plan) -> Result | Missing:
    started = time.monotonic()
    print(f"\n{name} …", file=sys.stderr, flush=True)
    try:
        result: Result | Missing = ROWS[name](plan)
    except Missing as missing:
        result = missing
    finally:
        for path in folders():
            shed(path)
    seconds = time.monotonic() - started
    if not plan.quick and not plan.skip:
        kept.keep(name, result, seconds)
    print(report.section(result, name), flush=True)
    print(f"({seconds:.0f} s)", file=sys.stderr, flush=True)
    return result


def clean() -> None:
    """Leave nothing on the disk but the report."""
    for path in folders():
        shutil.rmtree(path)


def folders() -> list[Path]:
    """What the rows have made; the report has the kept rows, too."""
    return [path for path in Path(os.environ.get("BENCH_DIR", WORK)).glob("*") if path.name != "report"]


if __name__ == "__main__":
    main()
