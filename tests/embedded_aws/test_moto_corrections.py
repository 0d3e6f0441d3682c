"""Test the corrections to moto, by service, where moto differs from AWS."""

import hashlib
from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded_aws import EmbeddedAws
from tests.support.sample_function import NAME, SampleFunction, raises_client_error

ALARM: dict[str, Any] = {
    "AlarmName": "a",
    "Namespace": "AWS/Lambda",
    "MetricName": "Errors",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 1,
    "ComparisonOperator": "GreaterThanThreshold",
    "Statistic": "Sum",
}


def test_an_unsupported_log_retention_is_refused(aws: EmbeddedAws) -> None:
    logs = aws.client("logs")
    logs.create_log_group(logGroupName="/g")
    with raises_client_error(
        "InvalidParameterException", "Value '31' at 'retentionInDays' failed to satisfy constraint"
    ):
        logs.put_retention_policy(logGroupName="/g", retentionInDays=31)
    logs.put_retention_policy(logGroupName="/g", retentionInDays=30)
    assert logs.describe_log_groups()["logGroups"][0]["retentionInDays"] == 30


def test_tags_of_a_log_group_use_the_arn_without_a_wildcard(aws: EmbeddedAws) -> None:
    logs = aws.client("logs")
    logs.create_log_group(logGroupName="/g", tags={"service": "a"})
    group = logs.describe_log_groups()["logGroups"][0]
    assert logs.list_tags_for_resource(resourceArn=group["logGroupArn"])["tags"] == {"service": "a"}
    with pytest.raises(ClientError, match="InvalidParameterException"):
        logs.list_tags_for_resource(resourceArn=group["arn"])
    missing = group["logGroupArn"] + "x"
    with raises_client_error("ResourceNotFoundException"):
        logs.list_tags_for_resource(resourceArn=missing)
    with raises_client_error("ResourceNotFoundException"):
        logs.tag_resource(resourceArn=missing, tags={"a": "b"})
    with raises_client_error("ResourceNotFoundException"):
        logs.untag_resource(resourceArn=missing, tagKeys=["a"])


def test_the_digest_of_an_image_is_the_hash_of_its_manifest(sample: SampleFunction) -> None:
    uri = sample.image(tag="one")
    digest = uri.partition("@")[2]
    ecr = sample.aws.client("ecr")
    (image,) = ecr.batch_get_image(repositoryName=NAME, imageIds=[{"imageTag": "one"}])["images"]
    assert "sha256:" + hashlib.sha256(image["imageManifest"].encode()).hexdigest() == digest
    assert image["imageId"]["imageDigest"] == digest
    assert image["imageManifestMediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert sample.image(tag="one") == uri  # the same content has the same digest
    assert sample.image("other = 1\n", tag="one") != uri


def test_moving_a_tag_leaves_the_old_image_untagged(sample: SampleFunction) -> None:
    old, new = sample.image(tag="one"), sample.image("other = 1\n", tag="one")
    ecr = sample.aws.client("ecr")
    details = ecr.describe_images(repositoryName=NAME)["imageDetails"]
    tags = {image["imageDigest"]: image.get("imageTags") for image in details}
    assert tags == {old.partition("@")[2]: None, new.partition("@")[2]: ["one"]}
    old_image = [{"imageDigest": old.partition("@")[2]}]
    assert ecr.batch_delete_image(repositoryName=NAME, imageIds=old_image)["imageIds"] == old_image
    assert len(ecr.list_images(repositoryName=NAME)["imageIds"]) == 1


def test_an_archived_image_is_hidden_and_cannot_be_pulled_until_it_is_restored(sample: SampleFunction) -> None:
    """https://docs.aws.amazon.com/AmazonECR/latest/userguide/archive-image.html"""
    uri = sample.image(tag="one")
    ecr, image_id = sample.aws.client("ecr"), {"imageTag": "one"}

    def statuses(**parameters: Any) -> list[str]:
        details = ecr.describe_images(repositoryName=NAME, **parameters)["imageDetails"]
        return [image["imageStatus"] for image in details]

    def move_to(storage_class: str) -> str:
        response = ecr.update_image_storage_class(
            repositoryName=NAME, imageId=image_id, targetStorageClass=storage_class
        )
        return str(response["imageStatus"])

    definition = sample.definition(Code={"ImageUri": uri})
    sample.client.create_function(**definition)
    sample.aws.clock.advance(10)
    assert statuses() == ["ACTIVE"]
    assert move_to("ARCHIVE") == "ARCHIVED"
    assert statuses() == []
    assert ecr.list_images(repositoryName=NAME)["imageIds"] == []
    for status in ("ARCHIVED", "ANY"):
        assert statuses(filter={"imageStatus": status}) == ["ARCHIVED"]
        assert len(ecr.list_images(repositoryName=NAME, filter={"imageStatus": status})["imageIds"]) == 1
    assert statuses(filter={"imageStatus": "ACTIVE"}) == []
    with raises_client_error("ImageNotFoundException"):
        ecr.describe_images(repositoryName=NAME, imageIds=[image_id])
    response = ecr.batch_get_image(repositoryName=NAME, imageIds=[image_id])
    assert response["images"] == []
    assert [(failure["imageId"], failure["failureCode"]) for failure in response["failures"]] == [
        (image_id, "ImageNotFound")
    ]
    assert sample.client.get_function_configuration(FunctionName=NAME)["State"] == "Inactive"
    with raises_client_error("InvalidParameterValueException", f"Source image {uri} does not exist."):
        sample.client.create_function(**{**definition, "FunctionName": "other"})

    assert move_to("STANDARD") == "ACTIVE"
    assert statuses() == ["ACTIVE"]
    assert sample.client.get_function_configuration(FunctionName=NAME)["State"] == "Active"
    with raises_client_error("ImageNotFoundException"):
        ecr.update_image_storage_class(
            repositoryName=NAME, imageId={"imageTag": "missing"}, targetStorageClass="ARCHIVE"
        )


def test_updating_an_alarm_does_not_change_its_tags(aws: EmbeddedAws) -> None:
    cloudwatch = aws.client("cloudwatch")
    for value in ("first", "second"):
        cloudwatch.put_metric_alarm(**ALARM, Tags=[{"Key": "k", "Value": value}])
    arn = cloudwatch.describe_alarms()["MetricAlarms"][0]["AlarmArn"]
    assert cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "k", "Value": "first"}]


def test_deleting_a_missing_alarm_deletes_no_other_alarm(aws: EmbeddedAws) -> None:
    cloudwatch = aws.client("cloudwatch")
    cloudwatch.put_metric_alarm(**ALARM)
    with pytest.raises(ClientError, match="ResourceNotFound"):
        cloudwatch.delete_alarms(AlarmNames=["a", "none"])
    assert cloudwatch.describe_alarms()["MetricAlarms"]
    cloudwatch.delete_alarms(AlarmNames=["a"])


def test_creating_an_existing_topic_with_other_tags_is_refused(aws: EmbeddedAws) -> None:
    sns = aws.client("sns")
    tags = [{"Key": "service", "Value": "a"}]
    arn = sns.create_topic(Name="t", Tags=tags)["TopicArn"]
    assert sns.create_topic(Name="t", Tags=tags)["TopicArn"] == sns.create_topic(Name="t")["TopicArn"] == arn
    with raises_client_error("InvalidParameter", "Topic already exists with different tags"):
        sns.create_topic(Name="t", Tags=[{"Key": "service", "Value": "b"}])


def test_an_email_subscription_is_pending_until_it_is_confirmed(aws: EmbeddedAws) -> None:
    sns = aws.client("sns")
    arn = sns.create_topic(Name="t")["TopicArn"]
    for protocol, endpoint in (("email", "a@example.com"), ("sqs", "arn:aws:sqs:us-east-1:123456789012:q")):
        sns.subscribe(TopicArn=arn, Protocol=protocol, Endpoint=endpoint)
    subscribed = sns.subscribe(TopicArn=arn, Protocol="email", Endpoint="b@example.com")
    assert subscribed["SubscriptionArn"] == "pending confirmation"
    subscriptions = sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]
    arns = {subscription["Endpoint"]: subscription["SubscriptionArn"] for subscription in subscriptions}
    assert arns.pop("arn:aws:sqs:us-east-1:123456789012:q").startswith(arn)
    assert arns == dict.fromkeys(["a@example.com", "b@example.com"], "PendingConfirmation")
    with raises_client_error("InvalidParameter"):
        sns.unsubscribe(SubscriptionArn="PendingConfirmation")
    sns.delete_topic(TopicArn=arn)
    assert not sns.list_topics()["Topics"]


def test_a_parameter_over_4_kb_is_refused(aws: EmbeddedAws) -> None:
    ssm = aws.client("ssm")
    with raises_client_error("ValidationException", "maximum parameter value of 4096 characters"):
        ssm.put_parameter(Name="/a", Type="SecureString", Value="x" * 4097)
    ssm.put_parameter(Name="/a", Type="SecureString", Value="x" * 4096)


def test_the_label_awscurrent_selects_the_current_version_of_a_secret(aws: EmbeddedAws) -> None:
    secrets = aws.client("secretsmanager")
    first = secrets.create_secret(Name="a", SecretString="one")["VersionId"]
    second = secrets.put_secret_value(SecretId="a", SecretString="two", VersionStages=["DRAFT"])["VersionId"]
    third = secrets.put_secret_value(SecretId="a", SecretString="three", VersionStages=["DRAFT"])["VersionId"]
    move = {"SecretId": "a", "VersionStage": "AWSCURRENT"}
    assert secrets.get_secret_value(SecretId="a")["SecretString"] == "one"
    secrets.update_secret_version_stage(**move, RemoveFromVersionId=first, MoveToVersionId=second)
    assert secrets.get_secret_value(SecretId="a")["SecretString"] == "two"
    with raises_client_error("InvalidParameterException"):
        secrets.update_secret_version_stage(**move, RemoveFromVersionId=first, MoveToVersionId=third)
    assert secrets.get_secret_value(SecretId="a")["VersionId"] == second


def test_a_deletion_that_is_refused_does_not_reserve_the_name_of_a_secret(aws: EmbeddedAws) -> None:
    secrets = aws.client("secretsmanager")
    secrets.create_secret(Name="a", SecretString="one")
    with raises_client_error("InvalidParameterException"):
        secrets.delete_secret(SecretId="a", ForceDeleteWithoutRecovery=True, RecoveryWindowInDays=7)
    with raises_client_error("ResourceExistsException"):
        secrets.create_secret(Name="a", SecretString="two")


def test_a_secret_that_is_being_deleted_can_only_be_restored(aws: EmbeddedAws) -> None:
    secrets = aws.client("secretsmanager")
    secrets.create_secret(Name="a", SecretString="one")
    secrets.delete_secret(SecretId="a", RecoveryWindowInDays=30)
    with raises_client_error("InvalidRequestException"):
        secrets.get_secret_value(SecretId="a")
    with raises_client_error("InvalidRequestException"):
        secrets.put_secret_value(SecretId="a", SecretString="two")
    with raises_client_error("InvalidRequestException"):
        secrets.tag_resource(SecretId="a", Tags=[{"Key": "k", "Value": "v"}])
    with raises_client_error("InvalidRequestException"):
        secrets.create_secret(Name="a", SecretString="two")
    assert secrets.describe_secret(SecretId="a")["DeletedDate"]
    secrets.restore_secret(SecretId="a")
    assert secrets.get_secret_value(SecretId="a")["SecretString"] == "one"


def test_the_name_of_a_force_deleted_secret_is_free_after_some_seconds(aws: EmbeddedAws) -> None:
    secrets = aws.client("secretsmanager")
    secrets.create_secret(Name="a", SecretString="one")
    secrets.delete_secret(SecretId="a", ForceDeleteWithoutRecovery=True)
    with raises_client_error("InvalidRequestException", "already scheduled for deletion"):
        secrets.create_secret(Name="a", SecretString="two")
    aws.clock.advance(10)
    secrets.create_secret(Name="a", SecretString="two")


def test_a_secret_over_64_kb_is_refused(aws: EmbeddedAws) -> None:
    secrets = aws.client("secretsmanager")
    with raises_client_error("ValidationException", "65536"):
        secrets.create_secret(Name="a", SecretString="x" * 65_537)
    secrets.create_secret(Name="a", SecretString="x" * 65_536)


def test_scheduled_actions_are_deleted_with_their_scalable_target(aws: EmbeddedAws) -> None:
    client = aws.client("application-autoscaling")
    target: dict[str, str] = {
        "ServiceNamespace": "lambda",
        "ScalableDimension": "lambda:function:ProvisionedConcurrency",
        "ResourceId": "function:sample:1",
    }
    limits = {"MinCapacity": 0, "MaxCapacity": 5}
    client.register_scalable_target(**target, **limits)
    client.put_scheduled_action(
        **target, ScheduledActionName="morning", Schedule="cron(0 8 * * ? *)", ScalableTargetAction=limits
    )
    client.deregister_scalable_target(**target)
    assert client.describe_scheduled_actions(ServiceNamespace="lambda")["ScheduledActions"] == []
    with raises_client_error("ObjectNotFoundException"):
        client.deregister_scalable_target(**target)
