"""Test that supported versions are current, and that version, changelog and tags agree."""

import os
import re
import subprocess
import tomllib
import warnings
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest
import yaml
from packaging.version import Version

from scripts.projects import CHOICES, PYTHON_VERSIONS, TEMPLATE

PYPROJECT = tomllib.loads((TEMPLATE / "pyproject.toml").read_text("utf-8"))
WARN_BEFORE = timedelta(days=180)
MAX_AGE = timedelta(days=365)
MAX_AGE_OF_PREVIEW = timedelta(days=30)


def end_dates() -> Iterator[tuple[str, date]]:
    """Yield each Python version and each base image with the last day of its support.

    For a base image, it is the "deprecation date", until which AWS updates it. A preview image has none.
    """
    for version, facts in PYTHON_VERSIONS.items():
        yield f"Python {version}", date.fromisoformat(facts["python_ends"])
        if facts["base_image_ends"]:
            yield f"AWS's base image of Python {version}", date.fromisoformat(facts["base_image_ends"])


def check_end_dates(today: date) -> None:
    """Raise AssertionError if support has ended.

    Warn 180 days before it ends, if the dates are a year old, and if the information on a preview image is 30 days old.
    """
    assert [f"{name} ended on {end}" for name, end in end_dates() if end < today] == []
    for name, end in end_dates():
        if end - today < WARN_BEFORE:
            warnings.warn(f"{name} ends on {end}: remove it from the choices before that day", stacklevel=2)
    for version, facts in PYTHON_VERSIONS.items():
        max_age = MAX_AGE_OF_PREVIEW if facts["status"] == "preview" else MAX_AGE
        if today - date.fromisoformat(facts["as_of"]) > max_age:
            message = f"_python_versions in cookiecutter.json: look up Python {version} again, and change as_of"
            warnings.warn(message, stacklevel=2)


def test_every_choice_is_still_supported() -> None:
    check_end_dates(date.today())


def test_the_check_warns_before_support_ends_and_fails_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    first = min(end for _, end in end_dates())
    look_up_again(monkeypatch, first)
    with warnings.catch_warnings(action="error"):
        check_end_dates(first - WARN_BEFORE)
    for today in (first - WARN_BEFORE + timedelta(days=1), first):
        with pytest.warns(UserWarning, match=f"ends on {first}"):
            check_end_dates(today)
    with pytest.raises(AssertionError, match=f"ended on {first}"):
        check_end_dates(first + timedelta(days=1))


def test_the_check_warns_if_the_dates_are_a_year_old(monkeypatch: pytest.MonkeyPatch) -> None:
    today = min(end for _, end in end_dates()) - WARN_BEFORE - timedelta(days=1)
    look_up_again(monkeypatch, today)
    default = CHOICES["python_version"][0]
    monkeypatch.setitem(PYTHON_VERSIONS[default], "as_of", str(today - MAX_AGE))
    assert_information_is_old_after(today, default)


def test_the_check_warns_if_the_information_on_a_preview_is_a_month_old(monkeypatch: pytest.MonkeyPatch) -> None:
    today = min(end for _, end in end_dates()) - WARN_BEFORE - timedelta(days=1)
    look_up_again(monkeypatch, today)
    facts = {"status": "preview", "as_of": str(today - MAX_AGE_OF_PREVIEW)}
    facts |= {"python_ends": str(date.max), "base_image_ends": ""}
    monkeypatch.setitem(PYTHON_VERSIONS, "3.99", facts)
    assert_information_is_old_after(today, "3.99")


def assert_information_is_old_after(day: date, version: str) -> None:
    """Assert that the check warns about this version on the next day, and about nothing on this one."""
    with warnings.catch_warnings(action="error"):
        check_end_dates(day)
    with pytest.warns(UserWarning, match=re.escape(f"look up Python {version} again")):
        check_end_dates(day + timedelta(days=1))


def look_up_again(monkeypatch: pytest.MonkeyPatch, today: date) -> None:
    """Change the dates of the information to today, as if it had been looked up again."""
    for facts in PYTHON_VERSIONS.values():
        monkeypatch.setitem(facts, "as_of", str(today))


def find_violations(version: str, changelog: str, tags: Sequence[str]) -> list[str]:
    """Return the rules about version, changelog and tags that are violated."""
    headings = re.findall(r"(?m)^## \[(.+?)\] - (Unreleased|\d{4}-\d\d-\d\d)$", changelog)
    versions, days = [version for version, _ in headings], [day for _, day in headings]
    dated = {version for version, day in headings if day != "Unreleased"}
    released = [tag.removeprefix("v") for tag in tags]
    rules = {
        "every heading of the changelog is [version] - day": len(headings) == len(re.findall(r"(?m)^## ", changelog)),
        "the changelog begins with the version": versions[:1] == [version],
        "the versions are in descending order": versions == sorted(set(versions), key=Version, reverse=True),
        "the days are in descending order": days[1:] == sorted(days[1:], reverse=True) and days[:1] >= days[1:2],
        "only the first version is unreleased": "Unreleased" not in days[1:],
        "every tagged version has a day": set(released) <= dated,
        "every version with a day, except the first, has a tag": not tags or set(versions[1:]) <= set(released),
    }
    return [rule for rule, holds in rules.items() if not holds]


def test_version_changelog_and_tags_agree() -> None:
    git = subprocess.run(["git", "tag", "--list", "v*"], cwd=TEMPLATE, capture_output=True, text=True)
    changelog = (TEMPLATE / "CHANGELOG.md").read_text("utf-8")
    assert find_violations(PYPROJECT["project"]["version"], changelog, git.stdout.split()) == []


CHANGELOG = "# Changelog\n\n## [0.2.0] - Unreleased\n\n- New.\n\n## [0.1.0] - 2026-12-01\n\n- First.\n"


@pytest.mark.parametrize(
    ("version", "changelog", "tags", "count"),
    [
        ("0.2.0", CHANGELOG, ["v0.1.0"], 0),
        ("0.2.0", CHANGELOG, [], 0),
        ("0.2.0", CHANGELOG.replace("Unreleased", "2026-12-24"), ["v0.1.0", "v0.2.0"], 0),
        ("0.3.0", CHANGELOG, ["v0.1.0"], 1),
        ("0.2.0", CHANGELOG, ["v0.1.0", "v0.2.0"], 1),
        ("0.2.0", CHANGELOG, ["v0.1.0", "v0.1.1"], 1),
        ("0.2.0", CHANGELOG, ["v0.0.9"], 2),
        ("0.2.0", CHANGELOG.replace("2026-12-01", "Unreleased"), [], 1),
        ("0.2.0", CHANGELOG.replace("2026-12-01", "yesterday"), [], 1),
        ("0.2.0", CHANGELOG.replace("Unreleased", "2026-11-30"), [], 1),
        ("0.2.0", CHANGELOG.replace("0.1.0", "0.2.1"), [], 1),
    ],
)
def test_a_violated_rule_is_reported(version: str, changelog: str, tags: list[str], count: int) -> None:
    assert len(find_violations(version, changelog, tags)) == count


def test_relocking_pushes_only_requirements_and_opens_one_pull_request(tmp_path: Path) -> None:
    """Run the script of the workflow in a real repository, with a `gh` command that records its calls."""
    workflow = yaml.safe_load((TEMPLATE / ".github/workflows/relock.yml").read_text("utf-8"))
    (script,) = [step["run"] for step in workflow["jobs"]["pull-request"]["steps"] if "run" in step]
    origin, clone, programs = tmp_path / "origin", tmp_path / "clone", tmp_path / "bin"
    programs.mkdir()
    gh = '#!/bin/sh\necho "$*" >>../calls\ncase $* in "pr list"*) grep -c "^pr create" ../calls;; esac\nexit 0\n'
    (programs / "gh").write_text(gh)
    (programs / "gh").chmod(0o755)
    environment = os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "GIT_CONFIG_GLOBAL": os.devnull}
    identity = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

    def shell(command: str, folder: Path) -> str:
        result = subprocess.run(
            ["bash", "-ec", command], cwd=folder, env=environment | identity, capture_output=True, text=True
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    origin.mkdir()
    (origin / "requirements.txt").write_text("fastapi==1.0\n")
    (origin / "Makefile").write_text("lock:\n")
    shell("git init -q -b main && git add . && git commit -qm first", origin)
    for version in ("1.1", "1.2"):
        shell(f"rm -rf clone && git clone -q {origin} clone", tmp_path)
        shell(f"echo 'fastapi=={version}' >requirements.txt; echo evil >>Makefile; git diff >relock.patch", clone)
        shell("git checkout -q .", clone)
        shell(script, clone)
        assert shell("git show relock:requirements.txt", origin) == f"fastapi=={version}\n"
        assert shell("git diff --name-only main relock", origin) == "requirements.txt\n"
    calls = [line.split(" --")[0] for line in (tmp_path / "calls").read_text().splitlines()]
    first_run = ["auth setup-git", "pr list", "pr create", "workflow run ci.yml"]
    assert calls == [*first_run, *(call for call in first_run if call != "pr create")]
