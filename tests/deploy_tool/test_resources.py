"""All that deploy.toml says is there, nothing of anybody else is touched, and no more releases are kept than asked."""

import pytest

from tests.scene import NAME, Scene, interrupt


def test_drift_is_mended(scene: Scene) -> None:
    scene.release("old")
    scene.aws.client("logs").put_retention_policy(logGroupName=f"/aws/lambda/{NAME}", retentionInDays=1)
    assert scene.release("old").code == 0
    assert scene.mutations == ["PutRetentionPolicy"]


def test_a_stage_is_a_service_of_its_own(scene: Scene) -> None:
    scene.release("old")
    assert scene.deploy("--stage", "pr-12", "--image", scene.images["new"]).code == 0
    functions = scene.aws.client("lambda").list_functions()["Functions"]
    assert {function["FunctionName"] for function in functions} == {NAME, "my-api-pr-12"}


def test_the_topic_comes_with_an_address_and_goes_with_it(scene: Scene) -> None:
    sns = scene.aws.client("sns")
    scene.configure('alarm_email = "ops@example.com"')
    scene.release("old")
    alarms = scene.aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
    (topic,) = sns.list_topics()["Topics"]
    assert [alarm["AlarmActions"] for alarm in alarms] == [[topic["TopicArn"]]] * len(alarms)
    assert [one["Endpoint"] for one in sns.list_subscriptions()["Subscriptions"]] == ["ops@example.com"]
    scene.configure('alarm_email = ""')
    assert scene.release("old").code == 0
    assert sns.list_topics()["Topics"] == []


def test_old_versions_go_and_those_in_use_stay(scene: Scene) -> None:
    scene.configure("keep_releases = 2")
    for image in scene.images:
        scene.release(image)
    versions = scene.aws.client("lambda").list_versions_by_function(FunctionName=NAME)["Versions"]
    assert [version["Version"] for version in versions] == ["$LATEST", "2", "3"]


def test_no_traffic_stays_with_another_version_after_a_release(scene: Scene) -> None:
    """Whatever somebody has split by hand."""
    for image in ("old", "new"):
        scene.release(image)
    scene.aws.client("lambda").update_alias(
        FunctionName=NAME, Name="live", RoutingConfig={"AdditionalVersionWeights": {"1": 0.5}}
    )
    assert scene.release("other").code == 0
    assert {scene.answer() for _ in range(10)} == {"other"}


def test_a_name_that_is_not_ours_is_refused_before_anything_changes(scene: Scene) -> None:
    scene.aws.client("logs").create_log_group(logGroupName=f"/aws/lambda/{NAME}")
    refused = scene.release("old")
    assert refused.code == 1
    assert scene.mutations == []
    assert f"a log group named /aws/lambda/{NAME} that was not made by this tool" in refused.err


def test_an_interrupted_first_deploy_is_completed_by_the_next(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        interrupt(patched, 5, "after")
        assert scene.release("old").code == 130
    assert scene.release("old").code == 0
    assert scene.live_version() == "1"
