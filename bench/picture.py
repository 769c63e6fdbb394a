"""The main results as bars, in an SVG that is readable on light and on dark ground."""

import statistics
from html import escape

from bench.report import number
from bench.results import Result

#: Rows that the picture shows, two beside each other.
SHOWN = ("upload", "small-8", "download", "upload-many", "metadata", "responses")

WIDTH, COLUMN, LABEL, BAR, GAP = 860, 420, 170, 18, 26

STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600; font-size: 13px }
.faint { fill: #57606a }
.ours { fill: #0f766e }
.other { fill: #9aa4af }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .faint { fill: #9da7b1 }
  .ours { fill: #2dd4bf }
  .other { fill: #5b6570 }
}
"""


def draw(results: dict[str, Result]) -> str:
    """One panel a row, Lazu's bars in colour; where bytes are kept, those that are durable say so."""
    panels = [results[name] for name in SHOWN if name in results]
    parts, top = [], 8
    for pair in zip(panels[::2], [*panels[1::2], None], strict=False):
        parts += [panel(each, column * (COLUMN + 20), top) for column, each in enumerate(pair) if each]
        top += max(height(each) for each in pair if each)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}" '
        f'role="img" aria-label="Lazu beside its floors and peers"><style>{STYLE}</style>\n{"".join(parts)}</svg>\n'
    )


def height(result: Result) -> int:
    return 34 + GAP * len(result.race.samples) + 14


def panel(result: Result, left: int, top: int) -> str:
    """A title and one bar a contender, the longest as long as there is room."""
    unit, samples = result.unit, result.race.samples
    figures = {name: statistics.median(map(unit.figure, taken)) for name, taken in samples.items()}
    most = max(figures.values())
    note = "less is better" if unit.less else "more is better"
    lines = [
        f'<text class="title" x="{left}" y="{top + 14}">{escape(result.title)}</text>',
        f'<text class="faint" x="{left + COLUMN}" y="{top + 14}" text-anchor="end">{unit.name}, {note}</text>',
    ]
    for place, (name, figure) in enumerate(figures.items()):
        told = f"{number(figure)} durable" if name in result.durable else number(figure)
        lines.append(bar(name, told, figure / most, (left, top + 28 + place * GAP)))
    return "\n".join(lines) + "\n"


def bar(name: str, told: str, part: float, at: tuple[int, int]) -> str:
    left, top = at
    length = max(1, round(part * (COLUMN - LABEL - 90)))
    kind = "ours" if name.startswith("Lazu") else "other"
    return (
        f'<text x="{left + LABEL - 8}" y="{top + 13}" text-anchor="end">{escape(short(name))}</text>'
        f'<rect class="{kind}" x="{left + LABEL}" y="{top}" width="{length}" height="{BAR}" rx="2"/>'
        f'<text x="{left + LABEL + length + 6}" y="{top + 13}">{told}</text>'
    )


def short(name: str) -> str:
    """The contender without what stands in brackets."""
    return name.partition(" (")[0]
