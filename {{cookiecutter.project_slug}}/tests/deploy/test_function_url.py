"""Who may call the function URL."""

import json

from tests.deploy.cloud import Cloud


def test_a_public_url_has_both_statements_and_a_private_one_has_none(cloud: Cloud) -> None:
    image = cloud.push_image()
    cloud.run("--image", image)
    policy = json.loads(cloud.client("lambda").get_policy(FunctionName=cloud.name, Qualifier="live")["Policy"])
    assert {statement["Sid"] for statement in policy["Statement"]} == {"public-url", "public-invoke"}

    cloud.configure('auth = "iam"')
    assert cloud.run("--image", image) == 0
    url = cloud.client("lambda").get_function_url_config(FunctionName=cloud.name, Qualifier="live")
    assert url["AuthType"] == "AWS_IAM"
    assert cloud.mutations == ["UpdateFunctionUrlConfig", "RemovePermission", "RemovePermission"]


def test_a_statement_that_was_removed_comes_back(cloud: Cloud) -> None:
    image = cloud.push_image()
    cloud.run("--image", image)
    cloud.client("lambda").remove_permission(FunctionName=cloud.name, Qualifier="live", StatementId="public-invoke")
    assert cloud.run("--image", image) == 0
    assert cloud.mutations == ["AddPermission"]
