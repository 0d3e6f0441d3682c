"""Test how functions are created, configured, tagged and deleted, and which settings Lambda refuses."""

from typing import Any

import pytest

from embedded_aws import OCI_INDEX, OCI_MANIFEST
from tests.support.sample_function import NAME, SampleFunction, raises_client_error
from tests.support.subnets import default_security_group, make_subnet


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
        ({"Timeout": 1801}, "InvalidParameterValueException", "less than or equal to 1800"),
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
def test_invalid_settings_are_refused(sample: SampleFunction, changes: dict[str, Any], code: str, message: str) -> None:
    with raises_client_error(code, message):
        sample.client.create_function(**sample.definition(**changes))


def test_the_image_must_exist_and_must_not_be_an_index(sample: SampleFunction) -> None:
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


def test_the_configuration_includes_the_defaults(sample: SampleFunction) -> None:
    definition = sample.definition(
        Tags={"service": "a"}, ImageConfig={"Command": ["main.handler"]}, Environment={"Variables": {"AA": "1"}}
    )
    del definition["Timeout"]
    sample.client.create_function(**definition)
    sample.wait_until_ready()
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


def test_aliases_have_no_tags(sample: SampleFunction) -> None:
    sample.create(Tags={"service": "a"})
    arn = sample.configuration()["FunctionArn"].removesuffix(":$LATEST")
    sample.client.tag_resource(Resource=arn, Tags={"stage": "prod"})
    assert sample.client.list_tags(Resource=arn)["Tags"] == {"service": "a", "stage": "prod"}
    sample.client.untag_resource(Resource=arn, TagKeys=["service"])
    assert sample.client.get_function(FunctionName=NAME)["Tags"] == {"stage": "prod"}
    with raises_client_error("InvalidParameterValueException"):
        sample.client.list_tags(Resource=f"{arn}:live")


def test_deleting_a_function_deletes_its_environments_versions_and_policies(sample: SampleFunction) -> None:
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
    assert sample.publish() == "2"  # Lambda never reuses the number of a version
    assert not sample.client.list_aliases(FunctionName=NAME)["Aliases"]


def test_a_function_in_a_vpc_needs_a_role_that_may_create_network_interfaces(sample: SampleFunction) -> None:
    ec2 = sample.aws.client("ec2")
    vpc, subnet = make_subnet(ec2)
    network = {"SubnetIds": [subnet], "SecurityGroupIds": [default_security_group(ec2, vpc)]}
    message = "The provided execution role does not have permissions to call CreateNetworkInterface on EC2"
    sample.create()
    with raises_client_error("InvalidParameterValueException", message):
        sample.client.update_function_configuration(FunctionName=NAME, VpcConfig=network)
    permission = {"Effect": "Allow", "Action": "ec2:CreateNetworkInterface", "Resource": "*"}
    role = sample.role("vpc", permission)
    sample.client.update_function_configuration(FunctionName=NAME, Role=role, VpcConfig=network)
    assert sample.configuration()["VpcConfig"] == {**network, "VpcId": vpc}
    sample.wait_until_ready()
    for missing in ({"SubnetIds": ["subnet-1"]}, {"SecurityGroupIds": ["sg-1"]}):
        with raises_client_error("InvalidParameterValueException", "does not exist"):
            sample.client.update_function_configuration(FunctionName=NAME, VpcConfig={**network, **missing})
