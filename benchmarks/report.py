"""Write results as JSON, as Markdown tables, and as an SVG chart for light and dark pages."""

import dataclasses
import json
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from benchmarks.deploys import Deploy
from benchmarks.imports import SUBJECTS, Row
from benchmarks.ratios import Key, Rounds, absolute, as_data, relative
from benchmarks.subjects import ON_ALL_PYTHONS, SEED, Subject
from scripts.projects import TEMPLATE

PUBLISHED = TEMPLATE / "benchmarks/results"
README = TEMPLATE / "README.md"
BENCHMARK_README = TEMPLATE / "benchmarks/README.md"
MARK = "<!-- made by `make bench`: {} -->"
OURS = "ours"
Result = dict[str, Any]

HEAD = (
    "| | Python | INIT + first request | interquartile range | CPU time of both | INIT | INIT, ms | first request, ms "
    "| warm | warm CPU time | warm p50 / p99, ms | memory, MB | files opened | read, MB | packages, MB |\n"
    "|---|---|--:|:-:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
)
CHART_TITLE = "INIT and the first request together, relative to the seed on the same Python"
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.note { font-size: 11px; fill: #59636e }
.value { font-size: 11px }
.python0 { fill: #c3c9d0 } .python1 { fill: #8c959f } .ours.python0 { fill: #86cfae } .ours.python1 { fill: #1a7f5a }
.spread { stroke: #1f2328 } .reference { stroke: #59636e; stroke-dasharray: 3 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .note { fill: #9198a1 }
  .python0 { fill: #4b535d } .python1 { fill: #858d97 } .ours.python0 { fill: #27664c } .ours.python1 { fill: #3fb68b }
  .spread { stroke: #e6edf3 } .reference { stroke: #9198a1 }
}
"""


def build_result(
    subjects: Sequence[Subject],
    rounds: Rounds,
    base: str,
    opened: Mapping[Key, int],
    imports: Sequence[Row],
    deploys: Sequence[Deploy] | None,
) -> Result:
    """Return all measurements as JSON data, relative to the subject `base` on the same version of Python."""
    keys = {subject.key for subject in subjects}
    results: dict[str, Any] = {}
    for subject in subjects:
        name, python = subject.key
        result = results.setdefault(
            name, {"title": subject.title, "is_web_server": subject.is_web_server, "pythons": {}}
        )
        result["pythons"][python] = {
            "files_opened": opened[subject.key],
            "packages_mb": round(
                sum(path.stat().st_size for path in subject.root.rglob("*") if path.is_file()) / 2**20, 1
            ),
            "absolute": as_data(absolute(rounds, subject.key)),
            "relative": as_data(relative(rounds, subject.key, (base, python))),
            "to_ours": as_data(relative(rounds, subject.key, (OURS, python))) if (OURS, python) in keys else {},
        }
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {platform.system()}",
        "pythons": {subject.python.version: subject.python.title for subject in subjects},
        "packages": {name: version(name) for name in ("awslambdaric", "fastapi", "pydantic", "mangum")},
        "rounds": len(rounds),
        "base": base,
        "subjects": results,
        "imports": list(imports),
        "deploys": [dataclasses.asdict(deploy) | {"tool_s": deploy.tool_s} for deploy in deploys or []],
        "python_of_deploys": platform.python_version(),
    }


def write(result: Result, folder: Path) -> None:
    """Write results.json, results.md and cold-start.svg to the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", "utf-8")
    (folder / "results.md").write_text(text(result), "utf-8")
    (folder / "cold-start.svg").write_text(chart(result), "utf-8")


def publish(result: Result) -> None:
    """Replace the tables between the marks in the READMEs."""
    begin, end = MARK.format("begin"), MARK.format("end")
    for file, table in ((README, short_table(result)), (BENCHMARK_README, imports_table(result))):
        content = file.read_text("utf-8")
        before, after = content[: content.index(begin)], content[content.index(end) :]
        file.write_text(f"{before}{begin}\n{table}{after}", "utf-8")


def text(result: Result) -> str:
    """Return results.md."""
    packages = ", ".join(f"{name} {number}" for name, number in result["packages"].items())
    pythons = ", ".join(result["pythons"].values())
    source = (
        f"{result['date']}, {result['rounds']} rounds, {result['machine']}, {pythons}, {packages}. Numbers without a "
        f"unit are relative to {result['base']} on the same Python.\n"
    )
    tables = [source, main_table(result), variants_table(result), imports_table(result), deploy_table(result)]
    return "\n".join(filter(None, tables))


def rows_of(result: Result) -> Iterator[tuple[str, dict[str, Any], str, dict[str, Any]]]:
    """Yield the name and data of each subject, with each of its versions of Python and the measurements on it."""
    for name, subject in result["subjects"].items():
        for python, measured in subject["pythons"].items():
            yield name, subject, python, measured


def main_table(result: Result) -> str:
    """Return the table of all subjects and measurements."""
    rows = []
    for _, subject, python, measured in rows_of(result):
        times, ratios = measured["absolute"], measured["relative"]
        cold = ratios["cold_ms"]
        # Warm requests to a web server lack the hop through the Lambda Web Adapter, so they are not comparable.
        warm = "" if subject["is_web_server"] else f"{ratios['warm_p50_ms']['median']:.2f}"
        warm_cpu = "" if subject["is_web_server"] else f"{ratios['warm_cpu_ms']['median']:.2f}"
        p50_p99 = f"{times['warm_p50_ms']['median']:.1f} / {times['warm_p99_ms']['median']:.1f}"
        cells = [
            subject["title"],
            python,
            f"{cold['median']:.2f}",
            f"{cold['low']:.2f} to {cold['high']:.2f}",
            f"{ratios['cold_cpu_ms']['median']:.2f}",
            f"{ratios['init_ms']['median']:.2f}",
            f"{times['init_ms']['median']:.0f}",
            f"{times['first_ms']['median']:.1f}",
            warm,
            warm_cpu,
            "" if subject["is_web_server"] else p50_p99,
            f"{times['peak_mb']['median']:.0f}",
            f"{measured['files_opened']:,}",
            f"{times['read_mb']['median']:.0f}",
            f"{measured['packages_mb']:.1f}",
        ]
        rows.append(f"| {' | '.join(cells)} |\n")
    return HEAD + "".join(rows)


def variants_table(result: Result) -> str:
    """Return the variants of this template relative to its default, or "" if none was measured."""
    head = (
        "| relative to ours, default | Python | INIT + first request | interquartile range | CPU time of both | warm "
    )
    head += "| warm CPU time |\n|---|---|--:|:-:|--:|--:|--:|\n"
    rows = []
    for name, subject, python, measured in rows_of(result):
        if name.startswith(OURS) and name != OURS and measured["to_ours"]:
            cold, *others = (
                measured["to_ours"][key] for key in ("cold_ms", "cold_cpu_ms", "warm_p50_ms", "warm_cpu_ms")
            )
            spread = f"{cold['low']:.2f} to {cold['high']:.2f}"
            cells = [subject["title"], python, f"{cold['median']:.2f}", spread]
            cells += [f"{other['median']:.2f}" for other in others]
            rows.append(f"| {' | '.join(cells)} |\n")
    return head + "".join(rows) if rows else ""


def short_table(result: Result) -> str:
    """Return the table for the README. It leaves out the variants that are measured on one version of Python only."""
    pythons = list(result["pythons"])
    head = [f"INIT, {python} | first request, {python} | **both, {python}**" for python in pythons]
    rows = [f"| | {' | '.join(head)} | memory, {pythons[0]} |\n|---|{'--:|' * (3 * len(pythons) + 1)}\n"]
    for name, subject in result["subjects"].items():
        if name.startswith((OURS, SEED)) and name not in ON_ALL_PYTHONS:
            continue
        cells = [subject["title"]]
        for python in pythons:
            if python in subject["pythons"]:
                times, ratios = (subject["pythons"][python][key] for key in ("absolute", "relative"))
                cells += [f"{times['init_ms']['median']:.0f} ms", f"{times['first_ms']['median']:.1f} ms"]
                cells += [f"{ratios['cold_ms']['median']:.2f}"]
            else:
                cells += [""] * 3
        cells += [f"{subject['pythons'][pythons[0]]['absolute']['peak_mb']['median']:.0f} MB"]
        rows.append(f"| {' | '.join(cells)} |\n")
    source = (
        f"Medians of {result['rounds']} rounds on {result['date']}, with {' and '.join(result['pythons'].values())}."
    )
    return "".join(rows) + f"\n{source}\n"


def imports_table(result: Result) -> str:
    """Return the table of the time of packages, or "" if it was not measured."""
    if not result["imports"]:
        return ""
    columns = [(name, python) for name, times in result["imports"][0]["ms"].items() for python in times]
    titles = [f"{SUBJECTS[name]}, {python}" for name, python in columns]
    rows = [f"| ms | {' | '.join(titles)} |\n|---|{'--:|' * len(columns)}\n"]
    for row in result["imports"]:
        times = [f"{row['ms'][name][python]:.0f}" for name, python in columns]
        rows.append(f"| {row['title']} | {' | '.join(times)} |\n")
    sums = [f"{sum(row['ms'][name][python] for row in result['imports']):.0f}" for name, python in columns]
    rows.append(f"| together | {' | '.join(sums)} |\n")
    return "".join(rows)


def deploy_table(result: Result) -> str:
    """Return the table of deploys with their two longest parts, or "" if none was measured."""
    head = f"| ./deploy.sh, with Python {result['python_of_deploys']} | reads | changes | total time "
    head += "| time of the tool and its calls | longest parts |\n"
    head += "|---|--:|--:|--:|--:|---|\n"
    rows = []
    for deploy in result["deploys"]:
        largest = sorted(deploy["costs"].items(), key=lambda cost: -cost[1])[:2]
        parts = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in largest)
        times = f"{deploy['wall_s']:.2f} s | {deploy['tool_s']:.2f} s"
        rows.append(f"| {deploy['title']} | {deploy['reads']} | {deploy['mutations']} | {times} | {parts} |\n")
    return head + "".join(rows) if rows else ""


def chart(result: Result) -> str:
    """Return an SVG with INIT and the first request together, as a bar for each subject and version of Python.

    A thin line shows the interquartile range. The values are in a column on the right, so that the reference line at
    1.00 crosses no label.
    """
    left, width, top, value_column, bar = 280, 620, 86, 48, 14
    longest = max(measured["relative"]["cold_ms"]["high"] for _, _, _, measured in rows_of(result))
    scale = (width - left - value_column - 8) / longest
    pythons = list(result["pythons"])
    lines, y = [], top
    for name, subject in result["subjects"].items():
        middle = y + bar * len(subject["pythons"]) / 2
        title = escape(subject["title"].replace("**", ""))
        lines.append(f'<text x="{left - 8}" y="{middle + 4.5}" text-anchor="end">{title}</text>')
        for python, measured in subject["pythons"].items():
            ratio = measured["relative"]["cold_ms"]
            low, median, high = (ratio[key] * scale for key in ("low", "median", "high"))
            kind = f"{'ours' if name.startswith(OURS) else 'other'} python{pythons.index(python)}"
            center = y + bar / 2
            lines += [
                f'<rect class="{kind}" x="{left}" y="{y + 1}" width="{median:.1f}" height="{bar - 2}"/>',
                f'<line class="spread" x1="{left + low:.1f}" x2="{left + high:.1f}" y1="{center}" y2="{center}"/>',
                f'<text class="value" x="{width - 8}" y="{y + 11}" text-anchor="end">{ratio["median"]:.2f}</text>',
            ]
            y += bar
        y += 9  # the space between subjects
    height = y + 4
    legend = []
    for number, python in enumerate(pythons):
        x = 8 + 140 * number
        legend += [
            f'<rect class="other python{number}" x="{x}" y="46" width="14" height="12"/>',
            f'<rect class="ours python{number}" x="{x + 16}" y="46" width="14" height="12"/>',
            f'<text class="note" x="{x + 36}" y="56">Python {python}</text>',
        ]
    reference = left + scale
    measured = f"Bars: medians of {result['rounds']} rounds, {result['date']}. Thin lines: interquartile range."
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
            f"<style>{STYLE}</style>",
            f'<text x="8" y="18" font-weight="600">{CHART_TITLE}</text>',
            f'<text class="note" x="8" y="34">{measured}</text>',
            *legend,
            f'<text class="note" x="{reference:.1f}" y="{top - 8}" text-anchor="middle">the seed = 1.00</text>',
            f'<line class="reference" x1="{reference:.1f}" x2="{reference:.1f}" y1="{top - 4}" y2="{height - 8}"/>',
            *lines,
            "</svg>\n",
        ]
    )
