"""What a deploy does, and what it leaves alone."""

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
    assert re.search(r"\$ curl -s https://\S+/\n +\{\"ok\":true\}\n +cold start: [\d,]+ ms  ·  warm: [\d,]+ ms", shown)
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


def test_drift_is_mended(cloud: Cloud) -> None:
    image = cloud.push_image()
    cloud.run("--image", image)
    cloud.client("logs").put_retention_policy(logGroupName=f"/aws/lambda/{cloud.name}", retentionInDays=1)
    assert cloud.run("--image", image) == 0
    assert cloud.mutations == ["PutRetentionPolicy"]


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


def test_a_stage_is_a_service_of_its_own(cloud: Cloud) -> None:
    image = cloud.push_image()
    assert cloud.run("--image", image) == 0
    assert cloud.run("--stage", "pr-12", "--image", image) == 0
    names = {function["FunctionName"] for function in cloud.client("lambda").list_functions()["Functions"]}
{% if cookiecutter.migrations == 'alembic' %}
    names = {name for name in names if not name.endswith("-migrate")}
{% endif %}
    assert names == {cloud.name, cloud.name.removesuffix("prod") + "pr-12"}


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


def test_without_an_address_the_topic_goes_away_again(cloud: Cloud) -> None:
    image = cloud.push_image()
    cloud.configure('alarm_email = "ops@example.com"')
    cloud.run("--image", image)
    cloud.configure('alarm_email = ""')
    assert cloud.run("--image", image) == 0
    assert cloud.client("sns").list_topics()["Topics"] == []


def test_old_versions_go_and_those_in_use_stay(cloud: Cloud) -> None:
    cloud.configure("keep_releases = 2")
    for tag in ("one", "two", "three"):
        cloud.run("--image", cloud.push_image(tag))
    versions = cloud.client("lambda").list_versions_by_function(FunctionName=cloud.name)["Versions"]
    assert [version["Version"] for version in versions] == ["$LATEST", "2", "3"]


def test_a_name_that_is_not_ours_is_refused_before_anything_changes(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.client("logs").create_log_group(logGroupName=f"/aws/lambda/{cloud.name}")
    image = cloud.push_image()
    assert cloud.run("--image", image) == 1
    assert cloud.mutations == []
    assert f"a log group named /aws/lambda/{cloud.name} that was not made by this tool" in capsys.readouterr().err


def test_an_interrupted_first_deploy_is_completed_by_the_next(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    image = cloud.push_image()

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("deploy.verbs.deploy.publish", interrupted)
        assert cloud.run("--image", image) == 130
    assert cloud.run("--image", image) == 0
    assert cloud.live_version() == "1"
    assert "CreateFunction" not in cloud.calls
