"""Check that the benchmark runs, and that the published tables and chart match the published data."""

import json
import platform
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import imports, pythons, report, run
from benchmarks.common import CACHE, CommandError
from benchmarks.deploys import BETWEEN, FINISHED, INVOKE, MUTATE, READ, START, split
from benchmarks.pythons import VERSIONS, Python, find_pythons, runtime_requirements, unpack_debian
from benchmarks.ratios import Spread, relative
from benchmarks.runtime import Environments, Measurement
from benchmarks.subjects import ON_ALL_PYTHONS, OUR_COMMAND, OURS, Subject, build_service_root, create_subjects
from scripts.projects import CHOICES, TEMPLATE

SVG = "{http://www.w3.org/2000/svg}"
THIS_VERSION = "{}.{}".format(*sys.version_info)

if sys.platform != "linux":
    pytest.skip("the benchmark reads /proc", allow_module_level=True)


def test_three_rounds_with_two_subjects_succeed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--rounds", "3", "--requests", "20", "--base", "bare", "--only", "ours", "--pythons", THIS_VERSION]
    assert run.main([*options, "--results", str(tmp_path)]) == 0
    results = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert results["pythons"] == {THIS_VERSION: f"Python {platform.python_version()} (installed)"}
    assert list(results["subjects"]) == ["bare", "ours"]
    bare, ours = (subject["pythons"][THIS_VERSION] for subject in results["subjects"].values())
    assert ours["relative"]["cold_ms"]["median"] > 1
    assert ours["absolute"]["init_ms"]["median"] > ours["absolute"]["warm_p50_ms"]["median"] > 0
    assert bare["files_opened"] < ours["files_opened"] < 600
    assert sum(row["ms"]["ours"][THIS_VERSION] for row in results["imports"]) > 0
    assert f"| **ours, default** | {THIS_VERSION} |" in capsys.readouterr().out
    assert ElementTree.parse(tmp_path / "cold-start.svg").getroot().tag.endswith("svg")  # noqa: S314 - a file of this repository


def test_the_init_phase_compiles_no_module(tmp_path: Path) -> None:
    """Python opens a source file only if it has no valid .pyc file. anyio always reads its own sources."""
    (python,), _ = find_pythons([THIS_VERSION])
    environments = Environments(python)
    try:
        root = build_service_root(tmp_path, {}, (), python)
        opened = environments.opened_files(Subject("ours", "", python, root, OUR_COMMAND, OURS))
    finally:
        environments.close()
    assert "aws_lambda/__pycache__/handler" in " ".join(opened)
    assert [name for name in opened if name.endswith(".py") and "anyio/" not in name] == []


def fake_python(version: str, origin: str = "installed") -> Python:
    return Python(version, f"{version}.0 (main)", origin, (), "", Path())


def test_the_default_version_runs_all_subjects_and_the_others_run_some() -> None:
    assert VERSIONS[0] == CHOICES["python_version"][0]
    constructors = {
        name: lambda python, name=name: Subject(name, "", python, Path()) for name in ("chalice", *ON_ALL_PYTHONS)
    }
    created = create_subjects(constructors, list(constructors), [fake_python("3.13"), fake_python("3.15")])
    assert [subject.key for subject in created][:3] == [("chalice", "3.13"), ("seed", "3.13"), ("seed", "3.15")]
    assert len(created) == 1 + 2 * len(ON_ALL_PYTHONS)


def test_a_ratio_refers_to_the_same_python_in_the_same_round() -> None:
    def measured(init_ms: float) -> Measurement:
        return Measurement(init_ms, 10, 1, 1, 1, 1, 1, 1)

    rounds = [
        {("seed", "3.13"): measured(190), ("seed", "3.15"): measured(90), ("ours", "3.15"): measured(40)},
        {("seed", "3.13"): measured(190), ("seed", "3.15"): measured(190), ("ours", "3.15"): measured(90)},
    ]
    assert relative(rounds, ("ours", "3.15"), ("seed", "3.15"))["cold_ms"] == Spread(0.5, 0.5, 0.5)


def test_a_version_that_is_not_available_is_left_out_with_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(pythons, "CACHE", tmp_path)
    monkeypatch.setattr(pythons, "find_installed", lambda version: None)
    monkeypatch.setattr("shutil.which", lambda name: None)
    found, missing = find_pythons(["3.13", "3.15", "4.0"])
    assert found == []
    assert [line.partition(" is not measured. ")[0] for line in missing] == ["Python 3.13", "Python 3.15", "Python 4.0"]
    assert all("nstall" in line and "\n" not in line for line in missing)


def test_a_download_that_fails_is_reported_with_its_last_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(command: object) -> str:
        raise CommandError("mmdebstrap failed with exit code 1:\nsome detail\nE: unable to download")

    monkeypatch.setattr(pythons, "CACHE", tmp_path)
    monkeypatch.setattr("shutil.which", lambda name: name)
    monkeypatch.setattr(pythons, "run", fail)
    with pytest.raises(CommandError, match=r"as root: E: unable to download$"):
        unpack_debian("3.13")


def test_all_versions_come_from_the_same_kind_of_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """If one version is not installed, the installed ones are not used either: they may be built in another way."""
    monkeypatch.setattr(pythons, "find_installed", lambda version: None if version == "3.15" else fake_python(version))
    monkeypatch.setattr(pythons, "unpack_debian", lambda version: fake_python(version, "Debian"))
    monkeypatch.setattr(pythons, "prepare", lambda interpreter: interpreter)
    assert find_pythons(["3.13", "3.15"]) == ([fake_python("3.13", "Debian"), fake_python("3.15", "Debian")], [])
    assert find_pythons(["3.13"]) == ([fake_python("3.13")], [])


@pytest.mark.parametrize("version", VERSIONS)
def test_a_python_of_debian_runs_without_a_chroot(version: str) -> None:
    if not (CACHE / "engine" / f"{pythons.DEBIAN[version]}.tar").exists():
        pytest.skip("`make bench` and .ci/engine.sh create this Debian")
    interpreter = unpack_debian(version)
    code = "import ssl, sys; print(sys.version_info[:2] == (%s), sys.prefix, sys._base_executable)"
    code %= version.replace(".", ", ")
    for command in (interpreter.command, (interpreter.executable,)):
        output = subprocess.run([*command, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        root = Path(interpreter.executable).parents[3]
        assert output[:2] == ["True", str(root / "usr")]
        assert output[2].startswith(str(root / "usr"))


def test_the_runtime_client_has_the_versions_of_the_template() -> None:
    lines = runtime_requirements((TEMPLATE / "requirements.txt").read_text("utf-8")).splitlines()
    pins = [line.partition("==")[0] for line in lines if not line.startswith(" ")]
    assert pins == ["awslambdaric", "simplejson", "snapshot-restore-py"]
    assert all("--hash=sha256:" in line or line.endswith("\\") for line in lines)


def test_the_time_of_imports_is_grouped_by_package() -> None:
    output = """\
import time: self [us] | cumulative | imported package
import time:      1000 |       1000 |   json
import time:       500 |        500 |     fastapi.routing
import time:     20000 |      20500 |   fastapi.openapi.models
a line of a log
import time:     70000 |      91500 | fastapi
import time:       200 |        200 | idna
"""
    rows = imports.group({("ours", "3.13"): imports.parse(100, output), ("ours", "3.15"): imports.parse(10, "")})
    assert [(row["title"], row["ms"]["ours"]) for row in rows] == [
        ("`fastapi`", {"3.13": 70, "3.15": 0}),
        ("`fastapi.openapi.models`", {"3.13": 20, "3.15": 0}),
        (imports.OTHER_PACKAGES, {"3.13": 1.7, "3.15": 0}),
        (imports.OTHER, {"3.13": 8.3, "3.15": 10}),
    ]


def test_the_published_tables_match_the_published_data() -> None:
    results = json.loads((report.PUBLISHED / "results.json").read_text("utf-8"))
    assert (report.PUBLISHED / "results.md").read_text("utf-8") == report.text(results)
    assert (report.PUBLISHED / "cold-start.svg").read_text("utf-8") == report.chart(results)
    assert report.short_table(results) in report.README.read_text("utf-8")
    assert report.imports_table(results) in report.BENCHMARK_README.read_text("utf-8")


def test_the_published_data_contains_both_versions_of_python() -> None:
    results = json.loads((report.PUBLISHED / "results.json").read_text("utf-8"))
    assert tuple(results["pythons"]) == VERSIONS
    for name, subject in results["subjects"].items():
        assert tuple(subject["pythons"]) == (VERSIONS if name in ON_ALL_PYTHONS else VERSIONS[:1])


def test_no_label_of_the_chart_crosses_the_reference_line() -> None:
    results = json.loads((report.PUBLISHED / "results.json").read_text("utf-8"))
    svg = ElementTree.fromstring(report.chart(results))  # noqa: S314 - a file of this repository
    (line,) = (element.attrib for element in svg.iter(f"{SVG}line") if element.get("class") == "reference")
    x, top, bottom = (float(line[name]) for name in ("x1", "y1", "y2"))
    labels = [(float(text.attrib["x"]), float(text.attrib["y"]), text) for text in svg.iter(f"{SVG}text")]
    beside_the_line = [(end, text) for end, baseline, text in labels if baseline > top and baseline - 10 < bottom]
    bars = sum(len(subject["pythons"]) for subject in results["subjects"].values())
    assert len(beside_the_line) == len(results["subjects"]) + bars
    for end, text in beside_the_line:
        assert text.get("text-anchor") == "end"
        start = end - 8 * len(text.text or "")  # characters of the 13 px font are narrower than 8 px on average
        assert end < x or start > x, text.text


def test_the_chart_has_a_legend_and_a_bar_for_each_version() -> None:
    results = json.loads((report.PUBLISHED / "results.json").read_text("utf-8"))
    svg = ElementTree.fromstring(report.chart(results))  # noqa: S314 - a file of this repository
    classes = [rect.attrib["class"] for rect in svg.iter(f"{SVG}rect")]
    texts = [text.text for text in svg.iter(f"{SVG}text")]
    for number, version in enumerate(VERSIONS):
        bars = [subject for subject in results["subjects"].values() if version in subject["pythons"]]
        assert sum(name.endswith(f"python{number}") for name in classes) == len(bars) + 2  # the legend has two colors
        assert f"Python {version}" in texts


def test_the_spread_contains_the_middle_half_of_the_values() -> None:
    assert Spread.of([5, 1, 4, 2, 3]) == Spread(median=3, low=2, high=4)
    assert Spread.of([7]) == Spread(7, 7, 7)


def test_the_phases_of_a_deploy_do_not_overlap() -> None:
    calls = [(1.0, 2.0, READ), (1.5, 2.5, READ), (3.0, 4.0, MUTATE), (3.5, 3.8, READ)]
    assert split(0.0, 5.0, calls) == {START: 1.0, READ: 1.5, BETWEEN: 1.5, MUTATE: 1.0, FINISHED: 0.0, INVOKE: 0.0}
