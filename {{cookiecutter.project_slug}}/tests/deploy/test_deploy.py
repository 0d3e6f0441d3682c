"""A deploy changes only what differs, and `destroy` deletes everything."""

import re
from typing import Any

import pytest

from tests.deploy.aws_account import AwsAccount, healthy
from tests.deploy.lambda_emulation import Respond


def crashes(event: dict[str, Any]) -> dict[str, Any]:
    raise RuntimeError("the model is missing")


def returns_500(event: dict[str, Any]) -> dict[str, Any]:
    return {"statusCode": 500, "body": '{"detail":"Internal Server Error"}'}


def test_first_deploy_ends_with_the_url_and_its_response(
    account: AwsAccount, capsys: pytest.CaptureFixture[str]
) -> None:
    assert account.run("--image", account.push_image()) == 0
    output = capsys.readouterr().out
{% if cookiecutter.migrations == 'alembic' %}
    assert re.search(r"\[4/7\] Migrating database\.\.\. +at 0001, nothing to do \(\d+\.\d+s\)\n", output)
{% endif %}
    assert re.search(r"\[\d/\d\] Releasing version 1\.\.\. +smoke test passed, live \(\d+\.\d+s\)\n", output)
    assert re.search(r"\$ curl -s https://\S+/\n +\{\"ok\":true\}\n +warm: [\d,]+ ms", output)
    assert re.search(r"\nDeployed \S+ in \d+s\.  https://\S+\n$", output)
    assert account.live_version() == "1"


def test_second_deploy_changes_nothing(account: AwsAccount, capsys: pytest.CaptureFixture[str]) -> None:
    image = account.push_image()
    account.run("--image", image)
    assert account.run("--image", image) == 0
    assert account.mutations == []
    assert "Nothing to deploy" in capsys.readouterr().out


def test_changed_code_becomes_a_new_version_and_the_previous_one_is_recorded(account: AwsAccount) -> None:
    account.run("--image", account.push_image("one"))
    assert account.run("--image", account.push_image("two")) == 0
    assert account.live_version() == "2"
    alias = account.client("lambda").get_alias(FunctionName=account.name, Name="live")
    assert alias["Description"] == "previous=1"
    assert "CreateFunction" not in account.calls


def test_changed_configuration_becomes_a_new_version(account: AwsAccount) -> None:
    image = account.push_image()
    account.run("--image", image)
    account.configure("memory_mb = 1024")
    assert account.run("--image", image) == 0
{% if cookiecutter.migrations == 'alembic' %}
    update = "UpdateFunctionConfiguration"
    assert account.mutations == [update, update, "PublishVersion", "UpdateAlias"]  # also of the migration function
{% else %}
    assert account.mutations == ["UpdateFunctionConfiguration", "PublishVersion", "UpdateAlias"]
{% endif %}
    live = account.client("lambda").get_function_configuration(FunctionName=account.name, Qualifier="2")
    assert live["MemorySize"] == 1024


@pytest.mark.parametrize("broken", [crashes, returns_500])
def test_a_version_that_fails_its_smoke_test_never_goes_live(
    account: AwsAccount, capsys: pytest.CaptureFixture[str], broken: Respond
) -> None:
    account.run("--image", account.push_image("good"))
    account.functions.respond = broken
    assert account.run("--image", account.push_image("bad")) == 1
    assert account.live_version() == "1"
    assert "UpdateAlias" not in account.calls
    assert account.mutations[-1] == "DeleteFunction"  # of the version
    assert "Version 2 failed its smoke test" in capsys.readouterr().err

    account.functions.respond = healthy
    assert account.run("--image", account.push_image("fixed")) == 0
    assert account.live_version() == "2"  # moto uses the number of the deleted version again


def test_when_the_url_fails_the_previous_version_is_live_again(
    account: AwsAccount, capsys: pytest.CaptureFixture[str]
) -> None:
    account.run("--image", account.push_image("good"))

    def only_health_works(event: dict[str, Any]) -> dict[str, Any]:
        return healthy(event) if event["rawPath"] == "/health" else returns_500(event)

    account.functions.respond = only_health_works
    assert account.run("--image", account.push_image("bad")) == 1
    assert account.live_version() == "1"
    assert "Version 1 is live again" in capsys.readouterr().err


def test_alarms_use_the_metrics_that_count_errors(account: AwsAccount) -> None:
    account.configure('alarm_email = "ops@example.com"')
    account.run("--image", account.push_image())
    alarms = account.client("cloudwatch").describe_alarms()["MetricAlarms"]
{% if cookiecutter.endpoint == 'function_url' %}
    assert {alarm["MetricName"] for alarm in alarms} == {"Errors", "Url5xxCount"}
{% else %}
    assert {alarm["MetricName"] for alarm in alarms} == {"Errors", "5xx"}
{% endif %}
    topic = account.client("sns").list_topics()["Topics"][0]["TopicArn"]
    assert all(alarm["AlarmActions"] == [topic] for alarm in alarms)
    subscriptions = account.client("sns").list_subscriptions()["Subscriptions"]
    assert [(item["Protocol"], item["Endpoint"]) for item in subscriptions] == [("email", "ops@example.com")]


def test_every_secret_needs_a_value_which_is_never_output(
    account: AwsAccount, capsys: pytest.CaptureFixture[str]
) -> None:
    image = account.push_image()
    account.configure('secrets = ["API_KEY"]')
    assert account.run("--image", image) == 1
    assert account.mutations == []
    assert account.run("secret", "set", "API_KEY", stdin="correct horse") == 0
    assert account.run("--image", image) == 0
    output = capsys.readouterr()
    assert "secret set API_KEY" in output.err
    assert "correct horse" not in output.out + output.err
{% if cookiecutter.migrations == 'alembic' %}


def test_a_failing_migration_releases_nothing(account: AwsAccount, capsys: pytest.CaptureFixture[str]) -> None:
    account.run("--image", account.push_image("good"))
    account.functions.functions["my-api-prod-migrate"] = crashes
    assert account.run("--image", account.push_image("bad")) == 1
    assert account.live_version() == "1"
    assert "PublishVersion" not in account.calls
    assert "the model is missing\nThe live version did not change." in capsys.readouterr().err
{% endif %}
{% if cookiecutter.cold_starts == 'snapstart' %}


def test_versions_have_a_snapshot(account: AwsAccount) -> None:
    account.run("--image", account.push_image())
    live = account.client("lambda").get_function_configuration(FunctionName=account.name, Qualifier="live")
    assert live["SnapStart"]["ApplyOn"] == "PublishedVersions"
{% elif cookiecutter.cold_starts == 'provisioned_concurrency' %}


def test_a_version_has_provisioned_concurrency_only_while_it_is_live(account: AwsAccount) -> None:
    account.configure("provisioned_concurrency = { executions = 2 }")
    account.run("--image", account.push_image("one"))
    assert account.run("--image", account.push_image("two")) == 0
    assert account.calls.index("PutProvisionedConcurrencyConfig") < account.calls.index("UpdateAlias")
    assert account.provisioning.executions == {f"{account.name}:2": 2}
{% endif %}


@pytest.mark.parametrize(("stdin", "code"), [("my", 2), ("my-api-prod", 0)])
def test_destroy_asks_and_deletes_everything(
    account: AwsAccount, capsys: pytest.CaptureFixture[str], stdin: str, code: int
) -> None:
    image = account.push_image()
    before = account.resources()
    account.run("--image", image)
    assert account.run("destroy", stdin=stdin) == code
    assert capsys.readouterr().out.endswith("\n0 left\n") == (code == 0)
    assert (account.mutations == []) == (code != 0)
    assert (account.resources() == before) == (code == 0)
