"""What a deploy does and what it leaves alone, and that all of it can be taken down again."""

import re

import pytest

from tests.deploy.cloud import Cloud, service_answers


def crashes(event: dict[str, object]) -> dict[str, object]:
    raise RuntimeError("the model is missing")


def answers_500(event: dict[str, object]) -> dict[str, object]:
    return {"statusCode": 500, "body": '{"detail":"Internal Server Error"}'}


def test_first_deploy_ends_with_the_url_and_its_answer(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    assert cloud.run("--image", cloud.push_image()) == 0
    shown = capsys.readouterr().out
{% if cookiecutter.migrations == 'alembic' %}
    assert re.search(r"\[4/7\] Migrating database\.\.\. +at 0001, nothing to do \(\d+\.\d+s\)\n", shown)
{% endif %}
    assert re.search(r"\[\d/\d\] Releasing version 1\.\.\. +smoke test passed, live \(\d+\.\d+s\)\n", shown)
    assert re.search(r"\$ curl -s https://\S+/\n +\{\"ok\":true\}\n +warm: [\d,]+ ms", shown)
    assert re.search(r"\nDeployed \S+ in \d+s\.  https://\S+\n$", shown)
    assert cloud.live_version() == "1"


def test_second_deploy_changes_nothing(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    image = cloud.push_image()
    cloud.run("--image", image)
    assert cloud.run("--image", image) == 0
    assert cloud.mutations == []
    assert "Nothing to deploy" in capsys.readouterr().out


def test_changed_code_becomes_a_new_version_and_the_old_one_is_recorded(cloud: Cloud) -> None:
    cloud.run("--image", cloud.push_image("one"))
    assert cloud.run("--image", cloud.push_image("two")) == 0
    assert cloud.live_version() == "2"
    alias = cloud.client("lambda").get_alias(FunctionName=cloud.name, Name="live")
    assert alias["Description"] == "previous=1"
    assert "CreateFunction" not in cloud.calls


def test_changed_configuration_becomes_a_new_version(cloud: Cloud) -> None:
    image = cloud.push_image()
    cloud.run("--image", image)
    cloud.configure("memory_mb = 1024")
    assert cloud.run("--image", image) == 0
{% if cookiecutter.migrations == 'alembic' %}
    update = "UpdateFunctionConfiguration"
    assert cloud.mutations == [update, update, "PublishVersion", "UpdateAlias"]  # the migration function too
{% else %}
    assert cloud.mutations == ["UpdateFunctionConfiguration", "PublishVersion", "UpdateAlias"]
{% endif %}
    live = cloud.client("lambda").get_function_configuration(FunctionName=cloud.name, Qualifier="2")
    assert live["MemorySize"] == 1024


@pytest.mark.parametrize("broken", [crashes, answers_500])
def test_a_version_that_fails_its_smoke_test_never_goes_live(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], broken: object
) -> None:
    cloud.run("--image", cloud.push_image("good"))
    cloud.answer = broken  # type: ignore[assignment]
    assert cloud.run("--image", cloud.push_image("bad")) == 1
    assert cloud.live_version() == "1"
    assert "UpdateAlias" not in cloud.calls
    assert "Version 2 failed its smoke test" in capsys.readouterr().err

    cloud.answer = service_answers
    assert cloud.run("--image", cloud.push_image("mended")) == 0
    assert cloud.live_version() == "3"


def test_when_the_url_fails_the_version_before_is_live_again(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.run("--image", cloud.push_image("good"))

    def only_health(event: dict[str, object]) -> dict[str, object]:
        return service_answers(event) if event["rawPath"] == "/health" else answers_500(event)

    cloud.answer = only_health
    assert cloud.run("--image", cloud.push_image("bad")) == 1
    assert cloud.live_version() == "1"
    assert "version 1 is live again" in capsys.readouterr().err


def test_alarms_watch_what_really_goes_up(cloud: Cloud) -> None:
    cloud.configure('alarm_email = "ops@example.com"')
    cloud.run("--image", cloud.push_image())
    alarms = cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]
{% if cookiecutter.endpoint == 'function_url' %}
    assert {alarm["MetricName"] for alarm in alarms} == {"Errors", "Url5xxCount"}
{% else %}
    assert {alarm["MetricName"] for alarm in alarms} == {"Errors", "5xx"}
{% endif %}
    topic = cloud.client("sns").list_topics()["Topics"][0]["TopicArn"]
    assert all(alarm["AlarmActions"] == [topic] for alarm in alarms)
    subscribed = cloud.client("sns").list_subscriptions()["Subscriptions"]
    assert [(one["Protocol"], one["Endpoint"]) for one in subscribed] == [("email", "ops@example.com")]


def test_every_secret_needs_a_value_which_is_never_shown(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    image = cloud.push_image()
    cloud.configure('secrets = ["API_KEY"]')
    assert cloud.run("--image", image) == 1
    assert cloud.mutations == []
    assert cloud.run("secret", "set", "API_KEY", typed="correct horse") == 0
    assert cloud.run("--image", image) == 0
    shown = capsys.readouterr()
    assert "secret set API_KEY" in shown.err
    assert "correct horse" not in shown.out + shown.err
{% if cookiecutter.migrations == 'alembic' %}


def test_a_failing_migration_releases_nothing(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.run("--image", cloud.push_image("good"))
    cloud.migrate = crashes
    assert cloud.run("--image", cloud.push_image("bad")) == 1
    assert cloud.live_version() == "1"
    assert "PublishVersion" not in cloud.calls
    assert "the model is missing\nWhat was live still is." in capsys.readouterr().err
{% endif %}
{% if cookiecutter.cold_starts == 'snapstart' %}


def test_versions_have_a_snapshot(cloud: Cloud) -> None:
    cloud.run("--image", cloud.push_image())
    live = cloud.client("lambda").get_function_configuration(FunctionName=cloud.name, Qualifier="live")
    assert live["SnapStart"]["ApplyOn"] == "PublishedVersions"
{% elif cookiecutter.cold_starts == 'provisioned_concurrency' %}


def test_a_version_is_ready_before_it_is_live_and_no_longer_than_it_is(cloud: Cloud) -> None:
    cloud.configure("provisioned_concurrency = { executions = 2 }")
    cloud.run("--image", cloud.push_image("one"))
    assert cloud.run("--image", cloud.push_image("two")) == 0
    assert cloud.calls.index("PutProvisionedConcurrencyConfig") < cloud.calls.index("UpdateAlias")
    assert cloud.provisioning.executions == {f"{cloud.name}:2": 2}
{% endif %}


@pytest.mark.parametrize(("typed", "code"), [("my", 2), ("my-api-prod", 0)])
def test_destroy_asks_and_takes_everything(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], typed: str, code: int
) -> None:
    cloud.run("--image", cloud.push_image())
    assert cloud.run("destroy", typed=typed) == code
    assert capsys.readouterr().out.endswith("\n0 left\n") == (code == 0)
    assert (cloud.mutations == []) == (code != 0)
    assert (cloud.client("lambda").list_functions()["Functions"] == []) == (code == 0)
