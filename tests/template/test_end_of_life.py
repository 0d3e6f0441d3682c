"""Does the template stay current: are versions told as released, and is what ends taken out before it does?"""

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

from scripts.projects import CHOICES, PROMPTS, TEMPLATE

PYPROJECT = tomllib.loads((TEMPLATE / "pyproject.toml").read_text("utf-8"))
END_OF_LIFE = tomllib.loads((TEMPLATE / "tests/template/end_of_life.toml").read_text("utf-8"))
AHEAD = timedelta(days=180)
OLDEST_DATA = timedelta(days=365)


def ends() -> Iterator[tuple[str, date]]:
    """What is offered, on Lambda and on one's own machine, and its last day."""
    own = PYPROJECT["project"]["requires-python"].removeprefix(">=")
    for version in [own, *CHOICES["python_version"]]:
        yield f"Python {version}", END_OF_LIFE[version]["python"]
    for version in CHOICES["python_version"]:
        yield f"AWS's base image of Python {version}", END_OF_LIFE[version]["base_image"]


def nothing_has_ended(today: date) -> None:
    """Raises AssertionError for what is offered and past its end; warns of what soon will be, and of old data."""
    assert [f"{what} ended on {end}" for what, end in ends() if end < today] == []
    for what, end in ends():
        if end - today < AHEAD:
            warnings.warn(f"{what} ends on {end}: take it out of the choices before", stacklevel=2)
    if today - END_OF_LIFE["as_of"] > OLDEST_DATA:
        warnings.warn("tests/template/end_of_life.toml is older than a year: look its dates up again", stacklevel=2)


def test_nothing_that_is_offered_has_ended() -> None:
    nothing_has_ended(date.today())


def test_what_ends_soon_is_warned_of_and_what_has_ended_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    first = min(end for _, end in ends())
    monkeypatch.setitem(END_OF_LIFE, "as_of", first)  # as if the dates had been looked up again
    with warnings.catch_warnings(action="error"):
        nothing_has_ended(first - AHEAD)
    for today in (first - AHEAD + timedelta(days=1), first):
        with pytest.warns(UserWarning, match=f"ends on {first}"):
            nothing_has_ended(today)
    with pytest.raises(AssertionError, match=f"ended on {first}"):
        nothing_has_ended(first + timedelta(days=1))


def test_dates_looked_up_long_ago_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    today = min(end for _, end in ends()) - AHEAD
    monkeypatch.setitem(END_OF_LIFE, "as_of", today - OLDEST_DATA - timedelta(days=1))
    with pytest.warns(UserWarning, match="look its dates up again"):
        nothing_has_ended(today)


def test_the_prompts_tell_until_when() -> None:
    for version in CHOICES["python_version"]:
        assert (
            f"supported until {END_OF_LIFE[version]['base_image']:%B %Y};"
            in PROMPTS["__prompts__"]["python_version"][version]
        )


def disagreements(version: str, changelog: str, tags: Sequence[str]) -> list[str]:
    """What pyproject.toml, CHANGELOG.md and git tell differently about releases."""
    told = re.findall(r"(?m)^## \[(.+?)\] - (Unreleased|\d{4}-\d\d-\d\d)$", changelog)
    versions, days = [version for version, _ in told], [day for _, day in told]
    dated = {version for version, day in told if day != "Unreleased"}
    released = [tag.removeprefix("v") for tag in tags]
    found = {
        "every heading of the changelog is [version] - date": len(told) == len(re.findall(r"(?m)^## ", changelog)),
        "the changelog begins with the version": versions[:1] == [version],
        "its versions fall": versions == sorted(set(versions), key=Version, reverse=True),
        "its days fall": days[1:] == sorted(days[1:], reverse=True) and days[:1] >= days[1:2],
        "only the first is unreleased": "Unreleased" not in days[1:],
        "what is tagged has its day there": set(released) <= dated,
        "what has a day there, but for the first, is tagged": not tags or set(versions[1:]) <= set(released),
    }
    return [rule for rule, holds in found.items() if not holds]


def test_version_changelog_and_tags_agree() -> None:
    git = subprocess.run(["git", "tag", "--list", "v*"], cwd=TEMPLATE, capture_output=True, text=True)
    changelog = (TEMPLATE / "CHANGELOG.md").read_text("utf-8")
    assert disagreements(PYPROJECT["project"]["version"], changelog, git.stdout.split()) == []


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
def test_what_disagrees_is_found(version: str, changelog: str, tags: list[str], count: int) -> None:
    assert len(disagreements(version, changelog, tags)) == count


def test_relocking_pushes_only_requirements_and_opens_one_pull_request(tmp_path: Path) -> None:
    """The script of the workflow with a real repository; in the place of GitHub's command, one that notes its calls."""
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
        done = subprocess.run(
            ["bash", "-ec", command], cwd=folder, env=environment | identity, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

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
    once = ["auth setup-git", "pr list", "pr create", "workflow run ci.yml"]
    assert calls == [*once, *(call for call in once if call != "pr create")]
