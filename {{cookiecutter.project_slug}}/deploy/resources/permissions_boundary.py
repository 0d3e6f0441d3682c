"""The permissions boundary: a managed policy that limits what the policies of a role can allow."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from deploy.errors import ACCESS_DENIED, DeployError, suppress_errors
from deploy.iam import Statement, policy_document
from deploy.stage import Stage

SHOWN = 3  # actions in the error message


def check_boundary(stage: Stage, role: str, statements: Sequence[Statement]) -> str:
    """Return what the boundary in deploy.toml means for a role with these statements.

    Raise DeployError if the boundary does not exist or does not allow all actions. IAM itself evaluates it. If the caller
    may not read or simulate policies, skip the check.
    """
    arn = stage.config.permissions_boundary
    with suppress_errors(*ACCESS_DENIED):
        boundary = _read_document(stage, arn)
        denied = [action for statement in statements for action in _denied_actions(stage, boundary, statement)]
        if denied:
            more = f" and {len(denied) - SHOWN} more" if len(denied) > SHOWN else ""
            raise DeployError(
                f"The permissions boundary {arn} does not allow what the role {role} needs: "
                f"{', '.join(denied[:SHOWN])}{more}.",
                "Ask the owner of the boundary to allow it, or remove what needs it from deploy.toml.",
            )
        return f"{arn} allows what the role {role} needs"
    return f"{arn}; you may not read or simulate it, so it was not checked"


def _read_document(stage: Stage, arn: str) -> str:
    iam = stage.client("iam")
    with suppress_errors("NoSuchEntity"):
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
        return json.dumps(document)
    raise DeployError(
        f"The permissions boundary {arn} does not exist.", "Correct permissions_boundary in deploy.toml, or create it."
    )


def _denied_actions(stage: Stage, boundary: str, statement: Statement) -> list[str]:
    """Return the actions of the statement that the boundary denies, without those that depend on unknown conditions."""
    actions = [action for action in statement["Action"] if "*" not in action]  # the simulator accepts no patterns
    if not actions:
        return []
    region: Any = {
        "ContextKeyName": "aws:RequestedRegion",
        "ContextKeyType": "string",
        "ContextKeyValues": [stage.config.region],
    }
    unconditional = {key: value for key, value in statement.items() if key != "Condition"}
    results = stage.list_all(
        "iam",
        "simulate_custom_policy",
        "EvaluationResults",
        PolicyInputList=[json.dumps(policy_document([unconditional]))],
        PermissionsBoundaryPolicyInputList=[boundary],
        ActionNames=actions,
        ResourceArns=statement["Resource"],
        ContextEntries=[region],
    )
    denied = [
        result["EvalActionName"]
        for result in results
        if not result.get("PermissionsBoundaryDecisionDetail", {}).get("AllowedByPermissionsBoundary", True)
        and not result.get("MissingContextValues")
    ]
    return [*dict.fromkeys(denied)]
