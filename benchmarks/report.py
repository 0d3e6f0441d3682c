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
README_MARK = "<!-- made by `make bench`: {} -->"
OURS = "ours"
Result = dict[str, Any]

HEAD = (
    "| | INIT | interquartile range | INIT CPU time | first request | warm | warm CPU time "
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


def build_result(
    subjects: Sequence[Subject],
    rounds: Rounds,
    base: str,
    opened: Mapping[str, int],
    deploys: Sequence[Deploy] | None,
) -> Result:
    """Return all measurements as JSON data, relative to the subject `base`."""
    names = [subject.name for subject in subjects]
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "packages": {name: version(name) for name in ("awslambdaric", "fastapi", "pydantic", "mangum")},
        "rounds": len(rounds),
        "base": base,
        "subjects": {
            subject.name: {
                "title": subject.title,
                "is_web_server": subject.is_web_server,
                "files_opened": opened[subject.name],
                "packages_mb": round(
                    sum(path.stat().st_size for path in subject.root.rglob("*") if path.is_file()) / 2**20, 1
                ),
                "absolute": as_data(absolute(rounds, subject.name)),
                "relative": as_data(relative(rounds, subject.name, base)),
                "to_ours": as_data(relative(rounds, subject.name, OURS)) if OURS in names else {},
            }
            for subject in subjects
        },
        "deploys": [dataclasses.asdict(deploy) | {"tool_s": deploy.tool_s} for deploy in deploys or []],
    }


def write(result: Result, folder: Path) -> None:
    """Write results.json, results.md and cold-start.svg to the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", "utf-8")
    (folder / "results.md").write_text(text(result), "utf-8")
    (folder / "cold-start.svg").write_text(chart(result), "utf-8")


def publish(result: Result) -> None:
    """Replace the table between the marks in the README."""
    readme = README.read_text("utf-8")
    begin, end = README_MARK.format("begin"), README_MARK.format("end")
    pattern = re.compile(f"{re.escape(begin)}\n.*{re.escape(end)}", re.S)
    README.write_text(pattern.sub(lambda _: f"{begin}\n{short_table(result)}{end}", readme), "utf-8")


def text(result: Result) -> str:
    """Return results.md."""
    packages = ", ".join(f"{name} {number}" for name, number in result["packages"].items())
    source = (
        f"{result['date']}, {result['rounds']} rounds, {result['machine']}, {packages}; relative to {result['base']}.\n"
    )
    tables = [source, main_table(result), variants_table(result), deploy_table(result)]
    return "\n".join(filter(None, tables))


def main_table(result: Result) -> str:
    """Return the table of all subjects and measurements."""
    rows = []
    for subject in result["subjects"].values():
        times, ratios = subject["absolute"], subject["relative"]
        init = ratios["init_ms"]
        # Warm requests to a web server lack the hop through the Lambda Web Adapter, so they are not comparable.
        warm = "" if subject["is_web_server"] else f"{ratios['warm_p50_ms']['median']:.2f}"
        warm_cpu = "" if subject["is_web_server"] else f"{ratios['warm_cpu_ms']['median']:.2f}"
        p50_p99 = f"{times['warm_p50_ms']['median']:.1f} / {times['warm_p99_ms']['median']:.1f}"
        cells = [
            subject["title"],
            f"{init['median']:.2f}",
            f"{init['low']:.2f} to {init['high']:.2f}",
            f"{ratios['init_cpu_ms']['median']:.2f}",
            f"{ratios['cold']['median']:.2f}",
            warm,
            warm_cpu,
            "" if subject["is_web_server"] else p50_p99,
            f"{times['peak_mb']['median']:.0f}",
            f"{subject['files_opened']:,}",
            f"{times['read_mb']['median']:.0f}",
            f"{subject['packages_mb']:.1f}",
        ]
        rows.append(f"| {' | '.join(cells)} |\n")
    return HEAD + "".join(rows)


def variants_table(result: Result) -> str:
    """Return the variants of this template relative to its default, or "" if none was measured."""
    head = "| relative to ours, default | INIT | interquartile range | INIT CPU time | warm | warm CPU time |\n"
    head += "|---|--:|:-:|--:|--:|--:|\n"
    rows = []
    for name, subject in result["subjects"].items():
        if name.startswith(OURS) and name != OURS and subject["to_ours"]:
            init, *others = (
                subject["to_ours"][key] for key in ("init_ms", "init_cpu_ms", "warm_p50_ms", "warm_cpu_ms")
            )
            spread = f"{init['low']:.2f} to {init['high']:.2f}"
            cells = [subject["title"], f"{init['median']:.2f}", spread, *(f"{other['median']:.2f}" for other in others)]
            rows.append(f"| {' | '.join(cells)} |\n")
    return head + "".join(rows) if rows else ""


def short_table(result: Result) -> str:
    """Return the table for the README."""
    rows = ["| | INIT | first request | warm | memory |\n|---|--:|--:|--:|--:|\n"]
    for subject in result["subjects"].values():
        ratios, memory = subject["relative"], subject["absolute"]["peak_mb"]["median"]
        warm = "" if subject["is_web_server"] else f"{ratios['warm_p50_ms']['median']:.2f}"
        init, cold = ratios["init_ms"]["median"], ratios["cold"]["median"]
        rows.append(f"| {subject['title']} | {init:.2f} | {cold:.2f} | {warm} | {memory:.0f} MB |\n")
    python = result["machine"].split()[-1]
    source = f"Medians of {result['rounds']} rounds on {result['date']}, relative to the seed, with Python {python}."
    return "".join(rows) + f"\n{source}\n"


def deploy_table(result: Result) -> str:
    """Return the table of deploys with their two longest parts, or "" if none was measured."""
    head = "| ./deploy.sh | reads | changes | total time | time of the tool and its calls | longest parts |\n"
    head += "|---|--:|--:|--:|--:|---|\n"
    rows = []
    for deploy in result["deploys"]:
        largest = sorted(deploy["costs"].items(), key=lambda cost: -cost[1])[:2]
        parts = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in largest)
        times = f"{deploy['wall_s']:.2f} s | {deploy['tool_s']:.2f} s"
        rows.append(f"| {deploy['title']} | {deploy['reads']} | {deploy['mutations']} | {times} | {parts} |\n")
    return head + "".join(rows) if rows else ""


def chart(result: Result) -> str:
    """Return an SVG with the INIT time of each subject as a bar, and the interquartile range as a thin line.

    The values are in a column on the right, so that the reference line at 1.00 crosses no label.
    """
    left, width, row, top, value_column = 280, 620, 24, 60, 48
    subjects = result["subjects"]
    longest = max(subject["relative"]["init_ms"]["high"] for subject in subjects.values())
    scale = (width - left - value_column - 8) / longest
    lines = []
    for number, (name, subject) in enumerate(subjects.items()):
        ratio, y = subject["relative"]["init_ms"], top + number * row
        low, median, high = (ratio[key] * scale for key in ("low", "median", "high"))
        kind = "ours" if name.startswith("ours") else "bar"
        title = escape(subject["title"].replace("**", ""))
        lines += [
            f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{title}</text>',
            f'<rect class="{kind}" x="{left}" y="{y + 2}" width="{median:.1f}" height="{row - 7}" rx="2"/>',
            f'<line class="spread" x1="{left + low:.1f}" x2="{left + high:.1f}" y1="{y + 10.5}" y2="{y + 10.5}"/>',
            f'<text class="value" x="{width - 8}" y="{y + 14}" text-anchor="end">{ratio["median"]:.2f}</text>',
        ]
    height = top + len(subjects) * row + 10
    reference = left + scale
    measured = f"Bars: medians of {result['rounds']} rounds, {result['date']}. Thin lines: interquartile range."
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
