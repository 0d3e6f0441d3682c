"""Test that the IAM roles with which GitHub deploys allow everything that a stage needs, and nothing else.

The variable GITHUB_ROLES selects what is tested: "all" tests both roles in every combination, the default is each of
them in one combination. test_github.py tests who can assume the roles.
"""

import copy
import os
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from embedded_aws import EmbeddedAws, ManualClock
from embedded_aws.iam.authorization import Need
from embedded_aws.iam.policy import allows
from scripts.projects import COMBINATIONS, Answers, combination_name
from tests.support.bake import Bake
from tests.support.stage_lifecycle import GITHUB_ROLES, Policy, StageLifecycle

LIFECYCLES = [(answers, stage) for answers in COMBINATIONS for stage in GITHUB_ROLES]
SAMPLE = [(COMBINATIONS[0], "prod"), (COMBINATIONS[-1], "pr-12")]
SELECTED = LIFECYCLES if os.environ.get("GITHUB_ROLES") == "all" else SAMPLE
WITH_COMMON_NEEDS = [(answers, stage) for answers, _ in SAMPLE for stage in GITHUB_ROLES]
Start = Callable[..., StageLifecycle]

# policy_sentry contains only one of AWS's two lists of API Gateway's actions (cloudformation-coverage-roadmap#997).
OTHER_API_GATEWAY_RESOURCES = [
    "arn:aws:apigateway:*::/tags/*",
    "arn:aws:apigateway:*::/domainnames",
    "arn:aws:apigateway:*::/domainnames/*",
]
# A secret that does not exist has no ARN, so reading it has to be allowed for all secrets.
ACTIONS_ON_ANY_RESOURCE = {"secretsmanager:DescribeSecret"}


@pytest.fixture
def start(bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Return a function that prepares the first deploy of a stage."""
    with EmbeddedAws(clock=ManualClock()) as aws:

        def start(answers: Answers, stage: str, *, common_needs: bool = False) -> StageLifecycle:
            project, images = bake(**answers).copy(tmp_path), tmp_path / "images"
            lifecycle = StageLifecycle(project, aws, images, stage, monkeypatch, common_needs=common_needs)
            lifecycle.prepare()
            return lifecycle

        yield start


@pytest.mark.parametrize(
    ("answers", "stage"), SELECTED, ids=[f"{combination_name(answers)}-{stage}" for answers, stage in SELECTED]
)
def test_a_role_allows_what_a_stage_needs_and_nothing_else(start: Start, answers: Answers, stage: str) -> None:
    assert_allows_nothing_else(start(answers, stage))


@pytest.mark.parametrize(
    ("answers", "stage"),
    WITH_COMMON_NEEDS,
    ids=[f"{combination_name(answers)}-{stage}" for answers, stage in WITH_COMMON_NEEDS],
)
def test_with_tags_and_a_boundary_a_role_allows_more_but_nothing_else(
    start: Start, answers: Answers, stage: str
) -> None:
    lifecycle = start(answers, stage, common_needs=True)
    assert_allows_nothing_else(lifecycle)
    used = {need.action for need in lifecycle.needed}
    assert {"iam:PutRolePermissionsBoundary", "iam:UntagRole", "iam:SimulateCustomPolicy"} <= used


def assert_allows_nothing_else(lifecycle: StageLifecycle) -> None:
    """Run the lifecycle, which fails without a permission, and check that no permission is superfluous."""
    lifecycle.run()
    policy = lifecycle.policy()
    needed = list({(need.action, need.resource, str(need.context)): need for need in lifecycle.needed}.values())
    superfluous = [part for part, reduced in reductions(policy) if all(permits(reduced, need) for need in needed)]
    assert superfluous == []


def reductions(policy: Policy) -> Iterator[tuple[str, Policy]]:
    """Yield the description of each action and each resource of each statement, and the policy without it."""
    for number, statement in enumerate(policy["Statement"]):
        for key in ("Action", "Resource"):
            for item in statement[key]:
                reduced = copy.deepcopy(policy)
                reduced["Statement"][number][key].remove(item)
                yield f"{item} of statement {number}, {statement['Action'][0]}", reduced


def permits(policy: Policy, need: Need) -> bool:
    return allows(policy["Statement"], need.action, need.resource, context=need.context)


@pytest.mark.parametrize("action", ["ecr:GetAuthorizationToken", "iam:PassRole", "lambda:InvokeFunction"])
def test_without_one_of_its_actions_github_cannot_deploy(start: Start, action: str) -> None:
    """Confirm with real calls what the test above computes."""
    lifecycle = start(COMBINATIONS[0], "prod")
    policy = lifecycle.policy()
    for statement in policy["Statement"]:
        statement["Action"] = [other for other in statement["Action"] if other != action] or ["sts:GetCallerIdentity"]
    lifecycle.replace_policy(policy)
    with pytest.raises(AssertionError, match=f"not authorized to perform: {action}"):
        lifecycle.run_as_github()


def test_a_role_cannot_deploy_another_stage_or_service(start: Start) -> None:
    lifecycle = start(COMBINATIONS[0], "prod")
    for stage in ("dev", "pr-12"):
        with lifecycle.aws.acting_as(lifecycle.role), pytest.raises(AssertionError, match="AWS denied"):
            lifecycle.run_as_owner("--stage", stage)
    lifecycle.project.edit("deploy.toml", 'name = "my-api"', 'name = "other"')
    with pytest.raises(AssertionError, match="AWS denied"):
        lifecycle.run_as_github()


@pytest.mark.parametrize("stage", GITHUB_ROLES)
@pytest.mark.parametrize("common_needs", [False, True])
def test_aws_knows_every_action_resource_and_condition(start: Start, stage: str, common_needs: bool) -> None:
    get_action_data = pytest.importorskip(
        "policy_sentry.querying.actions", reason="policy_sentry cannot be installed on Python 3.15"
    ).get_action_data
    for statement in start(COMBINATIONS[-1], stage, common_needs=common_needs).policy()["Statement"]:
        for action in statement["Action"]:
            service, _, name = action.partition(":")
            assert_known(action, statement, (get_action_data(service, name) or {}).get(service))


def assert_known(action: str, statement: Policy, rows: list[dict[str, Any]] | None) -> None:
    """Assert that the action exists, and that it supports the type of resource and the condition keys.

    `rows` are what policy_sentry knows about the action, one for each type of resource.
    """
    assert rows, f"{action} does not exist"
    arn_formats = [re.sub(r"\$\{\w+\}", "*", row["resource_arn_format"]) for row in rows]
    if statement["Resource"] == ["*"]:
        assert "*" in arn_formats or action in ACTIONS_ON_ANY_RESOURCE, f"{action} can be allowed on {arn_formats}"
    else:
        resources = [arn for resource in statement["Resource"] for arn in (resource, resource.replace("*", "1:1"))]
        patterns = [*(arn for arn in arn_formats if arn != "*"), *OTHER_API_GATEWAY_RESOURCES]
        assert any(fnmatchcase(resource, pattern) for resource in resources for pattern in patterns), action
    keys = {key.partition("$")[0] for row in rows for key in row["condition_keys"]}
    for conditions in statement.get("Condition", {}).values():
        for condition in conditions:
            assert any(condition.startswith(key) for key in keys), f"{action}: {condition}"
