"""Do functions and versions go through the states, conflicts and checks that they go through at AWS?"""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded_aws import OCI_INDEX, OCI_MANIFEST, EmbeddedAws
from tests.support.sample_function import ECHO, NAME, SampleFunction, raises_client_error

BUSY = "The operation cannot be performed at this time."


def test_a_new_function_is_pending_then_active(sample: SampleFunction) -> None:
    created = sample.client.create_function(**sample.definition())
    assert (created["State"], created["StateReasonCode"]) == ("Pending", "Creating")
    assert "LastUpdateStatus" not in created
    with raises_client_error(
        "ResourceConflictException", f"{BUSY} The function is currently in the following state: Pending"
    ):
        sample.client.invoke(FunctionName=NAME)
    with raises_client_error("ResourceConflictException", "Pending"):
        sample.client.publish_version(FunctionName=NAME)
    sample.wait_until_ready()
    active = sample.configuration()
    assert (active["State"], active["LastUpdateStatus"]) == ("Active", "Successful")
    assert active["RevisionId"] != created["RevisionId"]


def test_waiters_of_boto3_work_in_real_time(tmp_path: Any) -> None:
    with EmbeddedAws() as aws:
        sample = SampleFunction(aws, tmp_path)
        role = sample.role(wait=False)
        aws.clock.advance(aws.delays.role_s)
        sample.client.create_function(**sample.definition(Role=role))
        config = {"Delay": 0.05, "MaxAttempts": 40}
        sample.client.get_waiter("function_active_v2").wait(FunctionName=NAME, WaiterConfig=config)
        sample.client.update_function_configuration(FunctionName=NAME, MemorySize=256)
        sample.client.get_waiter("function_updated_v2").wait(FunctionName=NAME, WaiterConfig=config)
        version = sample.client.publish_version(FunctionName=NAME)["Version"]
        waiter = sample.client.get_waiter("published_version_active")
        waiter.wait(FunctionName=NAME, Qualifier=version, WaiterConfig=config)


@pytest.mark.parametrize("call", ["code", "configuration", "publish"])
def test_a_change_during_an_update_is_a_conflict(sample: SampleFunction, call: str) -> None:
    sample.create()
    updating = sample.client.update_function_configuration(FunctionName=NAME, Timeout=5)
    assert updating["LastUpdateStatus"] == "InProgress"
    calls = {
        "code": lambda: sample.client.update_function_code(FunctionName=NAME, ImageUri=sample.image("")),
        "configuration": lambda: sample.client.update_function_configuration(FunctionName=NAME, Timeout=6),
        "publish": lambda: sample.client.publish_version(FunctionName=NAME),
    }
    arn = f"arn:aws:lambda:us-east-1:123456789012:function:{NAME}"
    with raises_client_error("ResourceConflictException", f"{BUSY} An update is in progress for resource: {arn}"):
        calls[call]()
    sample.wait_until_ready()
    calls[call]()


def test_an_update_answers_with_the_old_code_until_it_has_settled(sample: SampleFunction) -> None:
    sample.create("def handler(event, context):\n    return 'old'\n")
    new = sample.image("def handler(event, context):\n    return 'new'\n")
    sample.client.update_function_code(FunctionName=NAME, ImageUri=new)
    assert sample.invoke().payload == "old"
    sample.wait_until_ready()
    assert sample.invoke().payload == "new"
    assert len(sample.aws.environments(NAME)) == 1


def test_revisions_guard_changes_of_latest(sample: SampleFunction) -> None:
    sample.create()
    first = sample.configuration()["RevisionId"]
    with raises_client_error(
        "PreconditionFailedException", "The Revision Id provided does not match the latest Revision Id."
    ):
        sample.client.update_function_configuration(FunctionName=NAME, Timeout=5, RevisionId="other")
    updating = sample.client.update_function_configuration(FunctionName=NAME, Timeout=5, RevisionId=first)
    sample.wait_until_ready()
    settled = sample.configuration()["RevisionId"]
    assert len({first, updating["RevisionId"], settled}) == 3
    with raises_client_error("PreconditionFailedException"):
        sample.client.publish_version(FunctionName=NAME, RevisionId=updating["RevisionId"])
    version = sample.client.publish_version(FunctionName=NAME, RevisionId=settled)
    sample.wait_until_ready()
    assert sample.configuration("1")["RevisionId"] == version["RevisionId"]  # becoming active changes no version
    assert sample.configuration()["RevisionId"] != settled  # publishing changes $LATEST


def test_publishing_an_unchanged_function_answers_the_same_version(sample: SampleFunction) -> None:
    sample.create()
    pending = sample.client.publish_version(FunctionName=NAME, Description="one")
    assert (pending["Version"], pending["State"]) == ("1", "Pending")
    sample.wait_until_ready()
    assert sample.configuration("1")["State"] == "Active"
    assert sample.publish() == "1"
    sample.update(ECHO + "# changed\n")
    assert sample.publish() == "2"
    sample.client.update_function_configuration(FunctionName=NAME, Environment={"Variables": {"AA": "1"}})
    sample.wait_until_ready()
    assert sample.publish() == "3"
    versions = sample.client.list_versions_by_function(FunctionName=NAME)["Versions"]
    assert [v["Version"] for v in versions] == ["$LATEST", "1", "2", "3"]
    assert versions[1]["Description"] == "one"


def test_version_numbers_are_never_used_again(sample: SampleFunction) -> None:
    sample.create()
    sample.publish()
    sample.client.delete_function(FunctionName=NAME, Qualifier="1")
    with raises_client_error(
        "ResourceNotFoundException", f"Function not found: arn:aws:lambda:us-east-1:123456789012:function:{NAME}:1"
    ):
        sample.configuration("1")
    sample.client.delete_function(FunctionName=NAME, Qualifier="99")  # nothing to delete is no error at AWS
    assert sample.publish() == "2"


def test_a_version_keeps_the_code_it_was_published_from(sample: SampleFunction) -> None:
    sample.create("def handler(event, context):\n    return 1\n")
    sample.publish()
    sample.update("def handler(event, context):\n    return 2\n")
    assert sample.invoke(Qualifier="1").payload == 1
    assert sample.invoke().payload == 2


def test_publish_checks_the_code_hash(sample: SampleFunction) -> None:
    sample.create()
    sha256 = sample.configuration()["CodeSha256"]
    with raises_client_error("InvalidParameterValueException", "is different from current CodeSHA256"):
        sample.client.publish_version(FunctionName=NAME, CodeSha256="0" * 64)
    assert sample.client.publish_version(FunctionName=NAME, CodeSha256=sha256)["CodeSha256"] == sha256


def test_a_new_role_cannot_be_assumed_at_once(sample: SampleFunction) -> None:
    definition = sample.definition(Role=sample.role(wait=False))
    message = "The role defined for the function cannot be assumed by Lambda."
    with raises_client_error("InvalidParameterValueException", message):
        sample.client.create_function(**definition)
    sample.wait_until_ready()
    sample.client.create_function(**definition)


def test_a_role_must_trust_lambda(sample: SampleFunction) -> None:
    definition = sample.definition()
    document = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}'  # noqa: E501
    sample.aws.client("iam").update_assume_role_policy(RoleName=NAME, PolicyDocument=document)
    with raises_client_error("InvalidParameterValueException", "cannot be assumed by Lambda"):
        sample.client.create_function(**definition)


def test_a_function_cannot_be_created_twice(sample: SampleFunction) -> None:
    definition = sample.definition()
    sample.client.create_function(**definition)
    with raises_client_error("ResourceConflictException", f"Function already exist: {NAME}"):
        sample.client.create_function(**definition)


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"MemorySize": 32769}, "ValidationException", "Value '32769' at 'memorySize' failed to satisfy constraint"),
        ({"MemorySize": 10241}, "InvalidParameterValueException", "less than or equal to 10240"),
        ({"Timeout": 901}, "InvalidParameterValueException", "less than or equal to 900"),
        ({"FunctionName": "a" * 65}, "InvalidParameterValueException", "length less than or equal to 64"),
        ({"FunctionName": "no spaces"}, "ValidationException", "regular expression pattern"),
        ({"Architectures": ["mips"]}, "ValidationException", "enum value set: [x86_64, arm64]"),
        ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, "InvalidParameterValueException", "AWS_REGION"),
        ({"Environment": {"Variables": {"BIG": "x" * 4096}}}, "InvalidParameterValueException", "exceeded the 4KB"),
        ({"Environment": {"Variables": {"no-dash": "x"}}}, "ValidationException", "regular expression pattern"),
        ({"LoggingConfig": {"ApplicationLogLevel": "INFO"}}, "InvalidParameterValueException", "JSON"),
        ({"Code": {"ImageUri": "docker.io/a:b"}}, "InvalidParameterValueException", "is not valid"),
        ({"Handler": "a.b"}, "InvalidParameterValueException", "PackageType is Image"),
    ],
)
def test_what_lambda_refuses(sample: SampleFunction, changes: dict[str, Any], code: str, message: str) -> None:
    with raises_client_error(code, message):
        sample.client.create_function(**sample.definition(**changes))


def test_the_image_must_exist_and_be_no_index(sample: SampleFunction) -> None:
    definition = sample.definition()
    uri = definition["Code"]["ImageUri"].partition("@")[0]
    with raises_client_error("InvalidParameterValueException", f"Source image {uri}:none does not exist."):
        sample.client.create_function(**{**definition, "Code": {"ImageUri": f"{uri}:none"}})
    index = sample.image(media_type=OCI_INDEX)
    with raises_client_error(
        "InvalidParameterValueException", f"media type for the source image {index} is not supported"
    ):
        sample.client.create_function(**{**definition, "Code": {"ImageUri": index}})
    tagged = sample.image(media_type=OCI_MANIFEST, tag="v1").partition("@")
    created = sample.client.create_function(**{**definition, "Code": {"ImageUri": f"{uri}:v1"}})
    assert created["CodeSha256"] == tagged[2].removeprefix("sha256:")
    assert sample.client.get_function(FunctionName=NAME)["Code"]["ResolvedImageUri"] == "".join(tagged)


def test_a_function_whose_image_is_deleted_goes_inactive(sample: SampleFunction) -> None:
    sample.create()
    digest = "sha256:" + sample.configuration()["CodeSha256"]
    sample.aws.client("ecr").batch_delete_image(repositoryName=NAME, imageIds=[{"imageDigest": digest}])
    assert (sample.configuration()["State"], sample.configuration()["StateReasonCode"]) == ("Inactive", "ImageDeleted")
    with pytest.raises(ClientError):
        sample.invoke()


def test_the_configuration_comes_back_with_defaults(sample: SampleFunction) -> None:
    sample.create(
        Tags={"service": "a"}, ImageConfig={"Command": ["main.handler"]}, Environment={"Variables": {"AA": "1"}}
    )
    configuration = sample.configuration()
    assert configuration["LoggingConfig"] == {
        "LogFormat": "JSON",
        "ApplicationLogLevel": "INFO",
        "SystemLogLevel": "INFO",
        "LogGroup": f"/aws/lambda/{NAME}",
    }
    assert configuration["SnapStart"] == {"ApplyOn": "None", "OptimizationStatus": "Off"}
    assert configuration["ImageConfigResponse"] == {"ImageConfig": {"Command": ["main.handler"]}}
    assert (configuration["Timeout"], configuration["MemorySize"]) == (3, 128)
    assert configuration["EphemeralStorage"] == {"Size": 512}
    sample.client.update_function_configuration(
        FunctionName=NAME, Environment={"Variables": {}}, ImageConfig={}, LoggingConfig={"LogFormat": "Text"}
    )
    sample.wait_until_ready()
    configuration = sample.configuration()
    assert not {"Environment", "ImageConfigResponse"} & set(configuration)
    assert configuration["LoggingConfig"] == {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{NAME}"}


def test_tags_are_of_the_function_only(sample: SampleFunction) -> None:
    sample.create(Tags={"service": "a"})
    arn = sample.configuration()["FunctionArn"].removesuffix(":$LATEST")
    sample.client.tag_resource(Resource=arn, Tags={"stage": "prod"})
    assert sample.client.list_tags(Resource=arn)["Tags"] == {"service": "a", "stage": "prod"}
    sample.client.untag_resource(Resource=arn, TagKeys=["service"])
    assert sample.client.get_function(FunctionName=NAME)["Tags"] == {"stage": "prod"}
    with raises_client_error("InvalidParameterValueException"):
        sample.client.list_tags(Resource=f"{arn}:live")


def test_deleting_a_function_deletes_everything_of_it(sample: SampleFunction) -> None:
    sample.public_url()
    sample.invoke(Qualifier="live")
    pids = [environment.pid for environment in sample.aws.environments(NAME)]
    assert pids
    with raises_client_error("InvalidParameterValueException", "$LATEST version cannot be deleted"):
        sample.client.delete_function(FunctionName=NAME, Qualifier="$LATEST")
    sample.client.delete_function(FunctionName=NAME)
    assert not sample.aws.environments(NAME)
    with raises_client_error("ResourceNotFoundException"):
        sample.client.get_policy(FunctionName=NAME, Qualifier="live")
    sample.create(Role=f"arn:aws:iam::123456789012:role/{NAME}")
    assert sample.publish() == "1"
    assert not sample.client.list_aliases(FunctionName=NAME)["Aliases"]


def test_account_limits_and_reserved_concurrency(sample: SampleFunction) -> None:
    sample.create()
    sample.client.put_function_concurrency(FunctionName=NAME, ReservedConcurrentExecutions=7)
    assert sample.client.get_function_concurrency(FunctionName=NAME)["ReservedConcurrentExecutions"] == 7
    limits = sample.client.get_account_settings()["AccountLimit"]
    assert (limits["ConcurrentExecutions"], limits["UnreservedConcurrentExecutions"]) == (1000, 993)
    with raises_client_error("InvalidParameterValueException", "below its minimum value of [100]"):
        sample.client.put_function_concurrency(FunctionName=NAME, ReservedConcurrentExecutions=901)
    sample.client.delete_function_concurrency(FunctionName=NAME)
    assert "ReservedConcurrentExecutions" not in sample.client.get_function_concurrency(FunctionName=NAME)


def test_a_function_in_a_vpc_needs_a_role_that_may_connect_it(sample: SampleFunction) -> None:
    network = {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
    told = "The provided execution role does not have permissions to call CreateNetworkInterface on EC2"
    sample.create()
    with raises_client_error("InvalidParameterValueException", told):
        sample.client.update_function_configuration(FunctionName=NAME, VpcConfig=network)
    may_connect = {"Effect": "Allow", "Action": "ec2:CreateNetworkInterface", "Resource": "*"}
    role = sample.role("connects", may_connect)
    sample.client.update_function_configuration(FunctionName=NAME, Role=role, VpcConfig=network)
    assert sample.configuration()["VpcConfig"]["SubnetIds"] == ["subnet-1"]
