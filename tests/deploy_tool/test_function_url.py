"""The permissions of the function URL."""

import json

from tests.scene import NAME, Scene


def test_a_public_url_has_two_statements_and_a_private_one_has_none(scene: Scene) -> None:
    scene.release("old")
    functions = scene.aws.client("lambda")
    policy = json.loads(functions.get_policy(FunctionName=NAME, Qualifier="live")["Policy"])
    assert {statement["Sid"] for statement in policy["Statement"]} == {"public-url", "public-invoke"}

    scene.configure('auth = "iam"')
    assert scene.release("old").code == 0
    assert functions.get_function_url_config(FunctionName=NAME, Qualifier="live")["AuthType"] == "AWS_IAM"
    assert scene.mutations == ["UpdateFunctionUrlConfig", "RemovePermission", "RemovePermission"]


def test_a_statement_that_was_removed_is_added_again(scene: Scene) -> None:
    scene.release("old")
    removed = {"FunctionName": NAME, "Qualifier": "live", "StatementId": "public-invoke"}
    scene.aws.client("lambda").remove_permission(**removed)
    assert scene.release("old").code == 0
    assert scene.mutations == ["AddPermission"]
