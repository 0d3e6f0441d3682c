"""Test that the prompt, the README and the projects agree with the data on Python versions in cookiecutter.json."""

import re
from datetime import date

import pytest

from scripts.projects import CHOICES, PROMPTS, PYTHON_VERSIONS, TEMPLATE
from tests.support.bake import Bake
from tests.support.fake_python import OLDEST

every_version = pytest.mark.parametrize("version", CHOICES["python_version"])
README = (TEMPLATE / "README.md").read_text("utf-8")
BASE_IMAGE = r"public\.ecr\.aws/lambda/python:[\w.-]+"


def previews() -> list[str]:
    """Return the versions whose base image is a preview of AWS, which is not for production."""
    return [version for version in CHOICES["python_version"] if PYTHON_VERSIONS[version]["status"] == "preview"]


@every_version
def test_the_data_of_a_choice_is_complete(version: str) -> None:
    facts = PYTHON_VERSIONS[version]
    assert facts["status"] in ("supported", "preview")
    preview = facts["status"] == "preview"
    assert facts["base_image"] == f"public.ecr.aws/lambda/python:{version}{'-preview' if preview else ''}"
    assert (facts["base_image_ends"] is None) == preview
    assert ("aws_on_preview" in facts) == preview
    assert date.fromisoformat(facts["as_of"]) <= date.today()
    assert facts["source"]


def test_the_data_contains_only_the_choices_and_the_oldest_python_of_a_developer() -> None:
    assert PYTHON_VERSIONS.keys() == {f"3.{OLDEST}", *CHOICES["python_version"]}


def test_the_default_is_supported() -> None:
    assert PYTHON_VERSIONS[CHOICES["python_version"][0]]["status"] == "supported"


@every_version
def test_the_prompt_says_until_when_the_base_image_is_supported_or_that_it_is_a_preview(version: str) -> None:
    facts, text = PYTHON_VERSIONS[version], PROMPTS["__prompts__"]["python_version"][version]
    if version in previews():
        assert text == f"{version}: AWS's preview image, not for production (as of {facts['as_of']})"
    else:
        assert f"supported until {date.fromisoformat(facts['base_image_ends']):%B %Y};" in text


def test_the_readme_recommends_the_default_and_quotes_aws_on_previews() -> None:
    (advice,) = re.findall(r"(?ms)^- \*\*`python_version`\*\*: (.*?)(?=^- )", README)
    advice = " ".join(advice.split())
    default = CHOICES["python_version"][0]
    ends = date.fromisoformat(PYTHON_VERSIONS[default]["base_image_ends"])
    assert advice.startswith(f"choose `{default}`")
    assert f"AWS supports its base image until {ends:%B %Y}" in advice
    for version in previews():
        facts = PYTHON_VERSIONS[version]
        about = facts["aws_on_preview"]
        assert f"`{facts['base_image']}`" in advice
        assert f'"{about["quote"]}" ([{about["date"]}]({about["source"]}))' in advice
        assert f"As of {facts['as_of']}," in advice
    (row,) = re.findall(r"(?m)^\| `python_version` \|.*", README)
    assert [version for version in CHOICES["python_version"] if f"`{version}` (a preview" in row] == previews()


@every_version
def test_a_project_names_only_the_base_image_of_its_version(bake: Bake, version: str) -> None:
    facts = PYTHON_VERSIONS[version]
    texts = "\n".join(text for _, text in bake(python_version=version).texts())
    assert set(re.findall(BASE_IMAGE, texts)) == {facts["base_image"]}
    quoted = [other for other in previews() if PYTHON_VERSIONS[other]["aws_on_preview"]["source"] in texts]
    assert quoted == [version] * (version in previews())
