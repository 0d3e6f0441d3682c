"""Test the resources that a deploy creates, repairs and deletes, and that it does not change those of others."""

from tests.support.deployed_stage import NAME, DeployedStage


def test_a_deploy_repairs_drift(stage: DeployedStage) -> None:
    stage.release("old")
    stage.aws.client("logs").put_retention_policy(logGroupName=f"/aws/lambda/{NAME}", retentionInDays=1)
    assert stage.release("old").code == 0
    assert stage.mutations == ["PutRetentionPolicy"]


def test_each_stage_has_its_own_resources(stage: DeployedStage) -> None:
    stage.release("old")
    assert stage.deploy("--stage", "pr-12", "--image", stage.images["new"]).code == 0
    functions = stage.aws.client("lambda").list_functions()["Functions"]
    assert {function["FunctionName"] for function in functions} == {NAME, "my-api-pr-12"}


def test_the_alarm_topic_exists_only_with_an_email_address(stage: DeployedStage) -> None:
    sns = stage.aws.client("sns")
    stage.configure('alarm_email = "ops@example.com"')
    stage.release("old")
    alarms = stage.aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
    (topic,) = sns.list_topics()["Topics"]
    assert [alarm["AlarmActions"] for alarm in alarms] == [[topic["TopicArn"]]] * len(alarms)
    subscriptions = sns.list_subscriptions()["Subscriptions"]
    assert [subscription["Endpoint"] for subscription in subscriptions] == ["ops@example.com"]
    stage.configure('alarm_email = ""')
    assert stage.release("old").code == 0
    assert sns.list_topics()["Topics"] == []


def test_old_versions_are_deleted_except_those_in_use(stage: DeployedStage) -> None:
    stage.configure("keep_releases = 2")
    for image in stage.images:
        stage.release(image)
    versions = stage.aws.client("lambda").list_versions_by_function(FunctionName=NAME)["Versions"]
    assert [version["Version"] for version in versions] == ["$LATEST", "2", "3"]


def test_a_release_ends_a_manual_split_of_the_traffic(stage: DeployedStage) -> None:
    for image in ("old", "new"):
        stage.release(image)
    stage.split_traffic("1")
    assert stage.release("other").code == 0
    assert {stage.get() for _ in range(10)} == {"other"}


def test_a_manual_split_of_the_traffic_is_reported_and_ended_without_a_new_version(stage: DeployedStage) -> None:
    for image in ("old", "new"):
        stage.release(image)
    assert "\nsplit" not in stage.deploy("status").out
    stage.split_traffic("1")
    plan = stage.deploy("plan", "--image", stage.images["new"], "--detailed-exitcode")
    assert plan.code == 2
    assert f"\n~ alias {NAME}:live\n    requests to version 1: 50% → 0%\n1 change.\n" in plan.out
    status = stage.deploy("status").out
    assert "\nsplit      version 1 gets 50% of the requests: run ./deploy.sh to end this\n" in status
    run = stage.release("new")
    assert run.code == 0
    assert " gets all requests again\n" in run.out
    assert "\nDeployed my-api in " in run.out
    assert stage.mutations == ["UpdateAlias"]
    assert {stage.get() for _ in range(10)} == {"new"}
    assert "\nprevious   version 1\n" in stage.deploy("status").out


def test_a_rollback_to_the_live_version_ends_a_manual_split(stage: DeployedStage) -> None:
    for image in ("old", "new"):
        stage.release(image)
    stage.split_traffic("1")
    run = stage.deploy("rollback", "2")
    assert run.code == 0
    assert "\nVersion 2 gets all requests again.\n" in run.out
    assert {stage.get() for _ in range(10)} == {"new"}


def test_a_resource_of_somebody_else_is_an_error_before_anything_changes(stage: DeployedStage) -> None:
    stage.aws.client("logs").create_log_group(logGroupName=f"/aws/lambda/{NAME}")
    refused = stage.release("old")
    assert refused.code == 1
    assert stage.mutations == []
    assert refused.err == (
        f"The log group /aws/lambda/{NAME} already exists, but this tool did not create it for this stage.\n"
        "Choose another name in deploy.toml or another --stage, or delete it.\n"
    )
