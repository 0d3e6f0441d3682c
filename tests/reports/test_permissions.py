"""Test reported problems with the permissions of a function URL.

Each test is named after the report. It reproduces the problem, and shows that the deploy tool avoids it.
"""

import json
import urllib.error
from pathlib import Path

import pytest

from embedded_aws.iam.policy import allows
from tests.support.bake import Bake
from tests.support.deployed_stage import NAME, deployed_stage

LIVE = {"FunctionName": NAME, "Qualifier": "live"}


def test_serverless_13147_a_public_url_needs_two_permissions(bake: Bake, tmp_path: Path) -> None:
    """serverless/serverless#13147: since October 2025, lambda:InvokeFunctionUrl alone is not enough."""
    with deployed_stage(bake, tmp_path) as stage:
        stage.release("old")
        functions = stage.aws.client("lambda")
        for statement in ("public-url", "public-invoke"):
            functions.remove_permission(**LIVE, StatementId=statement)
        action = {"Action": "lambda:InvokeFunctionUrl", "FunctionUrlAuthType": "NONE"}
        functions.add_permission(**LIVE, StatementId="public-url", Principal="*", **action)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            stage.get()
        assert stage.release("old").code == 0
        assert stage.get() == "old"


def test_zappa_1455_the_second_permission_without_a_condition_allows_direct_invocation(
    bake: Bake, tmp_path: Path
) -> None:
    """zappa/Zappa#1455: any AWS account could invoke the function without its URL, its metrics and its alarms."""
    with deployed_stage(bake, tmp_path) as stage:
        stage.release("old")
        functions = stage.aws.client("lambda")

        def everybody_may_invoke() -> bool:
            policy = json.loads(functions.get_policy(**LIVE)["Policy"])
            return allows(policy["Statement"], "lambda:InvokeFunction", principal="*")

        functions.remove_permission(**LIVE, StatementId="public-invoke")
        functions.add_permission(**LIVE, StatementId="public-invoke", Action="lambda:InvokeFunction", Principal="*")
        assert stage.get() == "old"
        assert everybody_may_invoke()
        assert stage.release("old").code == 0
        assert stage.get() == "old"
        assert not everybody_may_invoke()
