"""Test that the template refuses invalid answers with one clear line and leaves nothing on disk.

`INVALID_TEXTS` runs only the hook, which is fast. The other tests generate a project with pytest-cookies or with the
command line of cookiecutter.
"""

from pathlib import Path

import pytest
from cookiecutter.exceptions import FailedHookException, OutputDirExistsException, UndefinedVariableInTemplate
from jinja2 import UndefinedError
from pytest_cookies.plugin import Cookies, Result

from scripts.projects import CHOICES, run_cookiecutter
from tests.support.hooks import run_hook

INVALID_TEXTS = {
    "project_name": ["", " ", " padded ", "two\nlines", "bell\a", "nul\0", "line\u2028separator", "x" * 81],
    "description": ["", "two\r\nlines", "escape\x1b[31m", "next\x85line", "x" * 201],
    "project_slug": [
        *("", "a", "ab", "My-API", "my_api", "1st", "-api", "api-", "my--api", "my api", "größe", "my-api\n", "x" * 41),
        *("$(id)", "../api", "a/b", "my.api", "{{slug}}", "aws-tools", "ssm-reader", "awsome"),
    ],
    "aws_region": [
        *("", "useast1", "us_east_1", "us-east", "us-eest-1", "US-EAST-1", "us-east-1a", "us-east-1\n", "eu"),
        *("us-gov-west-1", "cn-north-1"),
    ],
}
CONTROL_CHARACTERS = ["\t", "\x1b", "\x7f", "\x85", "\u2028", "\u2029"]


def invalid_choices(choices: list[str]) -> list[str]:
    """Return answers that are similar to the choices of a prompt but are none of them."""
    similar = {answer for choice in choices for answer in (f"{choice}x", f"{choice}.1", choice[:-1], choice.upper())}
    return sorted({"", "2.7", *similar} - set(choices))


def files_on_disk(folder: Path) -> list[Path]:
    """Return everything that cookiecutter has created below a test's folder: all paths but its output folders."""
    return [path for path in folder.rglob("*") if path.name not in ("cookies", "bake00") and "home" not in path.parts]


def assert_refused(result: Result, tmp_path: Path, exception: type[Exception]) -> None:
    assert result.exit_code != 0
    assert isinstance(result.exception, exception)
    assert result.project_path is None
    assert files_on_disk(tmp_path) == []


@pytest.mark.parametrize(
    ("prompt", "answer"), [(prompt, answer) for prompt in INVALID_TEXTS for answer in INVALID_TEXTS[prompt]]
)
def test_the_hook_refuses_an_invalid_text_in_one_line(tmp_path: Path, prompt: str, answer: str) -> None:
    result = run_hook("pre_gen_project", tmp_path, {prompt: answer})
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith(prompt)
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("project_name", ""),
        *(("project_name", f"two{character}halves") for character in CONTROL_CHARACTERS),
        *(("description", f"two{character}halves") for character in CONTROL_CHARACTERS),
        ("project_slug", "A"),
        ("project_slug", "aws-x"),
        ("project_slug", "fastapi"),
        ("aws_region", "mars-1"),
    ],
)
def test_a_refused_text_leaves_nothing_on_disk(
    cookies: Cookies, capfd: pytest.CaptureFixture[str], tmp_path: Path, prompt: str, answer: str
) -> None:
    result = cookies.bake(extra_context={prompt: answer})
    assert_refused(result, tmp_path, FailedHookException)
    assert result.context[prompt] == answer
    message = capfd.readouterr().err
    assert message.startswith(f"{prompt} ")
    assert message.count("\n") == 1


@pytest.mark.parametrize("slug", ["a/b", "../a/b", r"a\b", "x" * 300])
def test_a_slug_that_cannot_name_a_folder_is_refused(cookies: Cookies, tmp_path: Path, slug: str) -> None:
    """cookiecutter would create this folder before a hook runs, so cookiecutter.json refuses it."""
    result = cookies.bake(extra_context={"project_slug": slug})
    assert_refused(result, tmp_path, UndefinedError)
    assert "project_slug: 3 to 40 lower-case letters, digits and hyphens" in str(result.exception)


@pytest.mark.parametrize("slug", ["", "."])
def test_a_slug_that_means_the_output_folder_is_refused(cookies: Cookies, tmp_path: Path, slug: str) -> None:
    assert_refused(cookies.bake(extra_context={"project_slug": slug}), tmp_path, OutputDirExistsException)


def test_an_undefined_jinja_variable_in_an_answer_is_refused(cookies: Cookies, tmp_path: Path) -> None:
    result = cookies.bake(extra_context={"description": "{{ nothing.here }}"})
    assert_refused(result, tmp_path, UndefinedVariableInTemplate)


@pytest.mark.parametrize(
    ("prompt", "answer"), [(prompt, answer) for prompt in CHOICES for answer in invalid_choices(CHOICES[prompt])]
)
def test_an_unknown_choice_is_refused(cookies: Cookies, tmp_path: Path, prompt: str, answer: str) -> None:
    result = cookies.bake(extra_context={prompt: answer})
    assert_refused(result, tmp_path, ValueError)
    assert str(result.exception) == (
        f"{answer} provided for choice variable {prompt}, but the choices are {CHOICES[prompt]}."
    )


def test_a_refused_text_on_the_command_line_is_reported_in_the_first_line(tmp_path: Path) -> None:
    result = run_cookiecutter(tmp_path / "out", "--no-input", "project_slug=My_API")
    assert result.returncode == 1
    message = result.stderr.splitlines()[0]
    assert message.startswith("project_slug is part of the names of AWS resources. It must have 3 to 40 ")
    assert message.endswith("it is 'My_API'.")
    assert files_on_disk(tmp_path / "out") == []


def test_an_unknown_choice_on_the_command_line_is_reported_in_the_last_line(tmp_path: Path) -> None:
    """cookiecutter checks the choices before a hook runs, so the hooks do not check them again."""
    result = run_cookiecutter(tmp_path / "out", "--no-input", "endpoint=ftp")
    assert result.returncode == 1
    message = f"ftp provided for choice variable endpoint, but the choices are {CHOICES['endpoint']}."
    assert result.stderr.splitlines()[-1] == f"ValueError: {message}"
    assert files_on_disk(tmp_path / "out") == []


@pytest.mark.parametrize("prompt", ["project_name", "description", "aws_region"])
@pytest.mark.parametrize(("value", "shown"), [("yes", "True"), ("null", "None")])
def test_a_value_in_the_configuration_file_that_is_not_text_is_reported_in_the_first_line(
    tmp_path: Path, prompt: str, value: str, shown: str
) -> None:
    configuration = tmp_path / "configuration.yaml"
    configuration.write_text(f"default_context:\n  {prompt}: {value}\n", encoding="utf-8")
    result = run_cookiecutter(tmp_path / "out", "--no-input", configuration=configuration)
    assert result.returncode == 1
    message = f"{prompt} must be text, not {shown}. Put quotes around it in the configuration file."
    assert result.stderr.splitlines()[0] == message
    assert files_on_disk(tmp_path / "out") == []


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="only Linux shows the command line of cookiecutter")
def test_a_misspelt_prompt_on_the_command_line_is_reported_in_the_first_line(tmp_path: Path) -> None:
    result = run_cookiecutter(tmp_path / "out", "--no-input", "project_name=a=b c=d", "endpint=http_api")
    assert result.returncode == 1
    message = result.stderr.splitlines()[0]
    assert message.startswith("endpint is not a prompt of this template. It asks for ")
    assert files_on_disk(tmp_path / "out") == []
