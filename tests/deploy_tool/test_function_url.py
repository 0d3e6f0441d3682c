"""Test the permissions of the function URL."""

import json

from tests.support.deployed_stage import NAME, DeployedStage


def test_a_public_url_has_two_statements_and_a_private_one_has_none(stage: DeployedStage) -> None:
    stage.release("old")
    functions = stage.aws.client("lambda")
    policy = json.loads(functions.get_policy(FunctionName=NAME, Qualifier="live")["Policy"])
    assert {statement["Sid"] for statement in policy["Statement"]} == {"public-url", "public-invoke"}

    stage.configure('auth = "iam"')
    assert stage.release("old").code == 0
    assert functions.get_function_url_config(FunctionName=NAME, Qualifier="live")["AuthType"] == "AWS_IAM"
    assert stage.mutations == ["UpdateFunctionUrlConfig", "RemovePermission", "RemovePermission"]


def test_a_private_url_stays_usable_if_the_account_forbids_public_functions(stage: DeployedStage) -> None:
    stage.configure('auth = "iam"')
    assert stage.release("old").code == 0
    stage.aws.lambda_state().blocks_public_access = True
    stage.configure('auth = "none"')
    assert stage.release("old").code == 1
    url = stage.aws.client("lambda").get_function_url_config(FunctionName=NAME, Qualifier="live")
    assert url["AuthType"] == "AWS_IAM"
    stage.configure('auth = "iam"')
    assert stage.release("old").code == 0
    assert stage.mutations == []


def test_a_statement_that_was_removed_is_added_again(stage: DeployedStage) -> None:
    stage.release("old")
    removed = {"FunctionName": NAME, "Qualifier": "live", "StatementId": "public-invoke"}
    stage.aws.client("lambda").remove_permission(**removed)
    assert stage.release("old").code == 0
    assert stage.mutations == ["AddPermission"]
