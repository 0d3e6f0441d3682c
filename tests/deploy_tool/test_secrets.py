"""Test the command `secret`: values are never shown, and a deploy requires them and uses new ones."""

import pytest

from tests.support.deployed_stage import NAME, DeployedStage

VALUE = "correct horse battery staple"


def test_a_value_is_never_shown(stage: DeployedStage) -> None:
    set_run, list_run = stage.deploy("secret", "set", "API_KEY", typed=VALUE), stage.deploy("secret", "list")
    assert (set_run.code, list_run.code) == (0, 0)
    assert set_run.out.startswith("API_KEY is set for stage prod (version ")
    assert set_run.out.endswith(
        'Next, add "API_KEY" to secrets in deploy.toml and api_key to your settings, and deploy.\n'
    )
    assert list_run.out.startswith("API_KEY ")
    assert list_run.out.endswith("  (not in deploy.toml)\n")
    assert VALUE not in set_run.out + set_run.err + list_run.out + list_run.err


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("", "The value of API_KEY is empty.\nEnter it at the prompt, or pass it on standard input.\n"),
        ("\n", "The value of API_KEY is empty.\nEnter it at the prompt, or pass it on standard input.\n"),
        (b"\xff", "The value of API_KEY is not text.\nEncode it first, for example with base64.\n"),
        (b"a\0b", "The value of API_KEY is not text.\nEncode it first, for example with base64.\n"),
    ],
)
def test_a_value_must_be_text_and_not_empty(stage: DeployedStage, value: str | bytes, error: str) -> None:
    rejected = stage.deploy("secret", "set", "API_KEY", typed=value)
    assert (rejected.code, rejected.err) == (2, error)
    assert stage.calls == []


def test_a_deploy_requires_the_value_of_every_secret(stage: DeployedStage) -> None:
    stage.configure('secrets = ["API_KEY"]')
    listed = stage.deploy("secret", "list")
    assert listed.out == f"{'API_KEY':24} has no value: ./deploy.sh secret set API_KEY\n"
    refused = stage.release("old")
    assert refused.code == 1
    assert refused.err == (
        "The secret API_KEY, listed in deploy.toml, has no value in stage prod.\n"
        "Set it: ./deploy.sh --stage prod secret set API_KEY\n"
    )
    assert stage.mutations == []


def test_a_new_value_becomes_a_new_version(stage: DeployedStage) -> None:
    stage.configure('secrets = ["API_KEY"]')
    stage.deploy("secret", "set", "API_KEY", typed="old")
    stage.release("old")
    stage.release("old")
    assert stage.mutations == []
    changed = stage.deploy("secret", "set", "API_KEY", typed="new")
    assert changed.out.endswith(
        "Running environments keep the old value until the next ./deploy.sh; new ones read the new value.\n"
    )
    assert stage.release("old").code == 0
    assert stage.live_version() == "2"
    configuration = stage.aws.client("lambda").get_function_configuration(FunctionName=NAME)
    environment = configuration["Environment"]["Variables"]
    assert {"SECRET_NAMES": "API_KEY"}.items() <= environment.items()
    assert "new" not in environment.values()


def test_a_secret_in_use_cannot_be_removed(stage: DeployedStage) -> None:
    in_use = (
        "API_KEY is in use: the service reads it at every cold start.\n"
        "Remove it from secrets in deploy.toml and deploy. Then run this command again.\n"
    )
    stage.deploy("secret", "set", "API_KEY", typed=VALUE)
    stage.configure('secrets = ["API_KEY"]')
    assert stage.deploy("secret", "remove", "API_KEY").err == in_use
    stage.release("old")
    stage.configure("secrets = []")
    refused = stage.deploy("secret", "remove", "API_KEY")  # the live version still reads it
    assert (refused.code, refused.err) == (1, in_use)
    stage.release("old")
    removed = stage.deploy("secret", "remove", "API_KEY")
    assert (removed.code, removed.out) == (0, "API_KEY was removed from stage prod.\n")
    again = stage.deploy("secret", "remove", "API_KEY")
    assert again.code == 1
    assert again.err == "The secret API_KEY does not exist in stage prod.\nSee ./deploy.sh secret list\n"
