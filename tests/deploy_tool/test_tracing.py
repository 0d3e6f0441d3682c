"""Test `tracing` in deploy.toml: Lambda traces requests, with the permissions and the price of X-Ray."""

from typing import Any

import pytest

from tests.support.deployed_stage import NAME, DeployedStage
from tests.support.permissions import list_grants

RETURNS_THE_TRACE_HEADER = """
import json, os
def handler(event, context):
    return {"statusCode": 200, "body": json.dumps(os.environ.get("_X_AMZN_TRACE_ID"))}
"""
ACTIONS = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}
IN_TWO_COMBINATIONS = pytest.mark.parametrize(
    "combination",
    ["smallest", pytest.param("largest", marks=pytest.mark.answers(endpoint="http_api", migrations="alembic"))],
)


def allowed_actions(stage: DeployedStage) -> set[str]:
    return {action for _, action, _ in list_grants(stage.aws) if action.startswith("xray:")}


def trace_modes(stage: DeployedStage) -> set[str]:
    functions: Any = stage.aws.client("lambda").list_functions()["Functions"]
    return {function["TracingConfig"]["Mode"] for function in functions}


@IN_TWO_COMBINATIONS
def test_requests_are_traced_until_tracing_is_removed(stage: DeployedStage, combination: str) -> None:
    image = stage.push("traced", RETURNS_THE_TRACE_HEADER)
    stage.configure("tracing = true")
    assert stage.deploy("--image", image).code == 0
    assert trace_modes(stage) == {"Active"}
    assert allowed_actions(stage) == ACTIONS
    assert {action for _, action, resource in stage.aws.used_by_roles if resource == "*"} >= ACTIONS
    assert stage.get().endswith(';Sampled=1"')
    stage.deploy("--image", image)
    assert stage.mutations == []

    stage.configure("tracing = false")
    assert stage.deploy("--image", image).code == 0
    assert trace_modes(stage) == {"PassThrough"}
    assert allowed_actions(stage) == set()
    assert "Sampled=1" not in stage.get()
    stage.deploy("--image", image)
    assert stage.mutations == []


def test_tracing_of_a_live_service_waits_until_lambda_knows_the_permissions(stage: DeployedStage) -> None:
    """Lambda refuses active tracing while the role does not have the permissions."""
    stage.release("old")
    client = stage.aws.client("lambda")
    with pytest.raises(client.exceptions.InvalidParameterValueException, match="PutTraceSegments on XRAY"):
        client.update_function_configuration(FunctionName=NAME, TracingConfig={"Mode": "Active"})
    stage.configure("tracing = true")
    plan = stage.deploy("plan", "--image", stage.images["old"])
    assert "    TracingConfig.Mode: PassThrough → Active\n" in plan.out
    assert stage.release("old").code == 0
    assert stage.mutations[:2] == ["PutRolePolicy", "UpdateFunctionConfiguration"]


def test_the_cost_of_traces_is_that_of_the_sampled_requests(stage: DeployedStage) -> None:
    stage.configure("tracing = true")
    cost = stage.deploy("cost", "--requests", "10000000", "--duration", "10").out
    (headings,) = [line for line in cost.splitlines() if "Costs of requests:" in line]
    assert headings.split()[3:] == ["Lambda", "X-Ray", "logs", "total", "with", "free", "tier"]
    (row,) = [line for line in cost.splitlines() if "10,000,000 × 10 ms" in line]
    lambda_, xray, logs, total, _ = (float(part) for part in row.split()[-5:])
    seconds = 30 * 24 * 3600
    assert xray == pytest.approx((seconds + 0.05 * (10_000_000 - seconds)) / 1e6 * 5, abs=0.01)
    assert total == pytest.approx(lambda_ + xray + logs, abs=0.02)
