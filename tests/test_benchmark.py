"""Does the benchmark still run, and is what it published what it prints?"""

import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import report, run
from benchmarks.deploys import BETWEEN, FINISHED, INVOKE, MUTATE, READ, START, split
from benchmarks.ratios import Spread
from benchmarks.runtime import Environments
from benchmarks.subjects import OUR_COMMAND, OURS, Subject, laid_out

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
        opened = environments.opened_files(Subject("ours", "", laid_out(tmp_path, {}), OUR_COMMAND, OURS))
    finally:
        environments.close()
    assert "aws_lambda/__pycache__/handler" in " ".join(opened)
    assert [name for name in opened if name.endswith(".py") and "anyio/" not in name] == []


def test_published_tables_are_made_of_the_published_data() -> None:
    found = json.loads((report.PUBLISHED / "results.json").read_text("utf-8"))
    assert (report.PUBLISHED / "results.md").read_text("utf-8") == report.text(found)
    assert (report.PUBLISHED / "cold-start.svg").read_text("utf-8") == report.chart(found)
    assert report.short_table(found) in report.README.read_text("utf-8")


def test_spread_is_the_middle_half() -> None:
    assert Spread.of([5, 1, 4, 2, 3]) == Spread(median=3, low=2, high=4)
    assert Spread.of([7]) == Spread(7, 7, 7)


def test_a_deploys_time_is_split_without_counting_twice() -> None:
    calls = [(1.0, 2.0, READ), (1.5, 2.5, READ), (3.0, 4.0, MUTATE), (3.5, 3.8, READ)]
    assert split(0.0, 5.0, calls) == {START: 1.0, READ: 1.5, BETWEEN: 1.5, MUTATE: 1.0, FINISHED: 0.0, INVOKE: 0.0}
