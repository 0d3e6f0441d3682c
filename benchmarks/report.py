"""Write results as JSON, as Markdown tables, and as an SVG chart for light and dark pages."""

import dataclasses
import json
import platform
import re
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from benchmarks.deploys import Deploy
from benchmarks.ratios import Rounds, absolute, as_data, relative
from benchmarks.subjects import Subject
from scripts.projects import TEMPLATE

PUBLISHED = TEMPLATE / "benchmarks/results"
README = TEMPLATE / "README.md"
MARK = "<!-- made by `make bench`: {} -->"
OURS = "ours"
Result = dict[str, Any]

HEAD = (
    "| | INIT | middle half | its processor time | first request | warm | its processor time "
    "| warm p50 / p99, ms | memory, MB | files opened | read, MB | packages, MB |\n"
    "|---|--:|:-:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
)
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.note { font-size: 11px; fill: #59636e }
.bar { fill: #8c959f } .ours { fill: #1a7f5a } .spread { stroke: #1f2328 }
.reference { stroke: #59636e; stroke-dasharray: 3 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .note { fill: #9198a1 }
  .bar { fill: #6e7681 } .ours { fill: #3fb68b } .spread { stroke: #e6edf3 } .reference { stroke: #9198a1 }
}
"""


def result(
    subjects: Sequence[Subject],
    rounds: Rounds,
    base: str,
    opened: Mapping[str, int],
    deploys: Sequence[Deploy] | None,
) -> Result:
    names = [one.name for one in subjects]
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "packages": {name: version(name) for name in ("awslambdaric", "fastapi", "pydantic", "mangum")},
        "rounds": len(rounds),
        "base": base,
        "subjects": {
            one.name: {
                "title": one.title,
                "is_web_server": one.is_web_server,
                "files_opened": opened[one.name],
                "packages_mb": round(
                    sum(path.stat().st_size for path in one.root.rglob("*") if path.is_file()) / 2**20, 1
                ),
                "absolute": as_data(absolute(rounds, one.name)),
                "relative": as_data(relative(rounds, one.name, base)),
                "to_ours": as_data(relative(rounds, one.name, OURS)) if OURS in names else {},
            }
            for one in subjects
        },
        "deploys": [dataclasses.asdict(one) | {"own_s": one.own_s} for one in deploys or []],
    }


def write(found: Result, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
    (folder / "results.md").write_text(text(found), "utf-8")
    (folder / "cold-start.svg").write_text(chart(found), "utf-8")


def publish(found: Result) -> None:
    """Write the short table into the README, between its marks."""
    readme = README.read_text("utf-8")
    begin, end = MARK.format("begin"), MARK.format("end")
    pattern = re.compile(f"{re.escape(begin)}\n.*{re.escape(end)}", re.S)
    README.write_text(pattern.sub(lambda _: f"{begin}\n{short_table(found)}{end}", readme), "utf-8")


def text(found: Result) -> str:
    packages = ", ".join(f"{name} {number}" for name, number in found["packages"].items())
    ran = f"{found['date']}, {found['rounds']} rounds, {found['machine']}, {packages}; relative to {found['base']}.\n"
    tables = [ran, table(found), own_table(found), deploy_table(found)]
    return "\n".join(filter(None, tables))


def table(found: Result) -> str:
    rows = []
    for one in found["subjects"].values():
        times, ratios = one["absolute"], one["relative"]
        init = ratios["init_ms"]
        # Its warm requests lack the hop through the Lambda Web Adapter, so they are not comparable.
        warm = "" if one["is_web_server"] else f"{ratios['warm_p50_ms']['median']:.2f}"
        p50_p99 = (
            "" if one["is_web_server"] else " / ".join(f"{times[f'warm_{p}_ms']['median']:.1f}" for p in ("p50", "p99"))
        )
        cells = [
            one["title"],
            f"{init['median']:.2f}",
            f"{init['low']:.2f} to {init['high']:.2f}",
            f"{ratios['init_cpu_ms']['median']:.2f}",
            f"{ratios['cold']['median']:.2f}",
            warm,
            "" if one["is_web_server"] else f"{ratios['warm_cpu_ms']['median']:.2f}",
            p50_p99,
            f"{times['peak_mb']['median']:.0f}",
            f"{one['files_opened']:,}",
            f"{times['read_mb']['median']:.0f}",
            f"{one['packages_mb']:.1f}",
        ]
        rows.append(f"| {' | '.join(cells)} |\n")
    return HEAD + "".join(rows)


def own_table(found: Result) -> str:
    """Return the variants of this template relative to its default, or "" if none was measured."""
    head = "| relative to ours, default | INIT | middle half | its processor time | warm | its processor time |\n"
    head += "|---|--:|:-:|--:|--:|--:|\n"
    rows = []
    for name, one in found["subjects"].items():
        if name.startswith(OURS) and name != OURS and one["to_ours"]:
            init, *others = (one["to_ours"][key] for key in ("init_ms", "init_cpu_ms", "warm_p50_ms", "warm_cpu_ms"))
            half = f"{init['low']:.2f} to {init['high']:.2f}"
            cells = [one["title"], f"{init['median']:.2f}", half, *(f"{other['median']:.2f}" for other in others)]
            rows.append(f"| {' | '.join(cells)} |\n")
    return head + "".join(rows) if rows else ""


def short_table(found: Result) -> str:
    """Return the table for the README."""
    rows = ["| | INIT | first request | warm | memory |\n|---|--:|--:|--:|--:|\n"]
    for one in found["subjects"].values():
        ratios, memory = one["relative"], one["absolute"]["peak_mb"]["median"]
        warm = "" if one["is_web_server"] else f"{ratios['warm_p50_ms']['median']:.2f}"
        init, cold = ratios["init_ms"]["median"], ratios["cold"]["median"]
        rows.append(f"| {one['title']} | {init:.2f} | {cold:.2f} | {warm} | {memory:.0f} MB |\n")
    python = found["machine"].split()[-1]
    source = f"Medians of {found['rounds']} rounds on {found['date']}, relative to the seed, with Python {python}."
    return "".join(rows) + f"\n{source}\n"


def deploy_table(found: Result) -> str:
    """Return the duration of deploys with their two largest parts, or "" if none was measured."""
    head = "| ./deploy.sh | reads | changes | total time | the tool's own time | most of it |\n"
    head += "|---|--:|--:|--:|--:|---|\n"
    rows = []
    for one in found["deploys"]:
        largest = sorted(one["costs"].items(), key=lambda cost: -cost[1])[:2]
        of_that = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in largest)
        times = f"{one['wall_s']:.2f} s | {one['own_s']:.2f} s"
        rows.append(f"| {one['title']} | {one['reads']} | {one['mutations']} | {times} | {of_that} |\n")
    return head + "".join(rows) if rows else ""


def chart(found: Result) -> str:
    """Return an SVG with the INIT time of each subject as a bar, and the middle half of the rounds as a thin line.

    The values have a column of their own on the right, so that the reference line at 1.00 crosses no label.
    """
    left, width, row, top, value_column = 280, 620, 24, 60, 48
    subjects = found["subjects"]
    longest = max(one["relative"]["init_ms"]["high"] for one in subjects.values())
    scale = (width - left - value_column - 8) / longest
    lines = []
    for number, (name, one) in enumerate(subjects.items()):
        ratio, y = one["relative"]["init_ms"], top + number * row
        low, median, high = (ratio[key] * scale for key in ("low", "median", "high"))
        kind = "ours" if name.startswith("ours") else "bar"
        title = escape(one["title"].replace("**", ""))
        lines += [
            f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{title}</text>',
            f'<rect class="{kind}" x="{left}" y="{y + 2}" width="{median:.1f}" height="{row - 7}" rx="2"/>',
            f'<line class="spread" x1="{left + low:.1f}" x2="{left + high:.1f}" y1="{y + 10.5}" y2="{y + 10.5}"/>',
            f'<text class="value" x="{width - 8}" y="{y + 14}" text-anchor="end">{ratio["median"]:.2f}</text>',
        ]
    height = top + len(subjects) * row + 10
    reference = left + scale
    measured = f"Bars: medians of {found['rounds']} rounds, {found['date']}. Thin lines: the middle half of the rounds."
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
            f"<style>{STYLE}</style>",
            '<text x="8" y="18" font-weight="600">INIT of an execution environment, relative to the seed</text>',
            f'<text class="note" x="8" y="34">{measured}</text>',
            f'<text class="note" x="{reference:.1f}" y="{top - 8}" text-anchor="middle">the seed = 1.00</text>',
            f'<line class="reference" x1="{reference:.1f}" x2="{reference:.1f}" y1="{top - 2}" y2="{height - 8}"/>',
            *lines,
            "</svg>\n",
        ]
    )
