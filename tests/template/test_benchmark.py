"""Check that the benchmark runs, and that the published tables and chart match the published data."""

import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import report, run
from benchmarks.deploys import BETWEEN, FINISHED, INVOKE, MUTATE, READ, START, split
from benchmarks.ratios import Spread
from benchmarks.runtime import Environments
from benchmarks.subjects import OUR_COMMAND, OURS, Subject, build_service_root

SVG = "{http://www.w3.org/2000/svg}"

if sys.platform != "linux":
    pytest.skip("the benchmark reads /proc", allow_module_level=True)


def test_one_round_of_two_subjects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--rounds", "1", "--requests", "20", "--base", "bare", "--only", "ours", "--results", str(tmp_path)]
    assert run.main(options) == 0
    found = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert list(found["subjects"]) == ["bare", "ours"]
    ours = found["subjects"]["ours"]
    assert ours["relative"]["init_ms"]["median"] > 1
    assert ours["absolute"]["init_ms"]["median"] > ours["absolute"]["warm_p50_ms"]["median"] > 0
    assert found["subjects"]["bare"]["files_opened"] < ours["files_opened"] < 600
    assert "| **ours, default** |" in capsys.readouterr().out
    assert ElementTree.parse(tmp_path / "cold-start.svg").getroot().tag.endswith("svg")  # noqa: S314 - our own


def test_init_compiles_nothing(tmp_path: Path) -> None:
    """A source is opened only when there is no valid .pyc for it; and anyio looks into its own for what to import."""
    environments = Environments()
    try:
        opened = environments.opened_files(Subject("ours", "", build_service_root(tmp_path, {}), OUR_COMMAND, OURS))
    finally:
        environments.close()
    assert "aws_lambda/__pycache__/handler" in " ".join(opened)
    assert [name for name in opened if name.endswith(".py") and "anyio/" not in name] == []


def test_published_tables_are_made_of_the_published_data() -> None:
    found = json.loads((report.PUBLISHED / "results.json").read_text("utf-8"))
    assert (report.PUBLISHED / "results.md").read_text("utf-8") == report.text(found)
    assert (report.PUBLISHED / "cold-start.svg").read_text("utf-8") == report.chart(found)
    assert report.short_table(found) in report.README.read_text("utf-8")


def test_no_label_of_the_chart_crosses_the_reference_line() -> None:
    found = json.loads((report.PUBLISHED / "results.json").read_text("utf-8"))
    svg = ElementTree.fromstring(report.chart(found))  # noqa: S314 - our own
    (line,) = (element.attrib for element in svg.iter(f"{SVG}line") if element.get("class") == "reference")
    x, top, bottom = (float(line[name]) for name in ("x1", "y1", "y2"))
    labels = [(float(text.attrib["x"]), float(text.attrib["y"]), text) for text in svg.iter(f"{SVG}text")]
    beside_the_line = [(end, text) for end, baseline, text in labels if baseline > top and baseline - 10 < bottom]
    assert len(beside_the_line) == 2 * len(found["subjects"])
    for end, text in beside_the_line:
        assert text.get("text-anchor") == "end"
        start = end - 8 * len(text.text or "")  # characters of the 13 px font are narrower than 8 px on average
        assert end < x or start > x, text.text


def test_spread_is_the_middle_half() -> None:
    assert Spread.of([5, 1, 4, 2, 3]) == Spread(median=3, low=2, high=4)
    assert Spread.of([7]) == Spread(7, 7, 7)


def test_a_deploys_time_is_split_without_counting_twice() -> None:
    calls = [(1.0, 2.0, READ), (1.5, 2.5, READ), (3.0, 4.0, MUTATE), (3.5, 3.8, READ)]
    assert split(0.0, 5.0, calls) == {START: 1.0, READ: 1.5, BETWEEN: 1.5, MUTATE: 1.0, FINISHED: 0.0, INVOKE: 0.0}
