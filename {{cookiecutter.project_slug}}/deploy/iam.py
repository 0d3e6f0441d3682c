"""IAM policy statements."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

Statement = dict[str, Any]


def allow(service: str, actions: str, *resources: str, when: Mapping[str, str] | None = None) -> Statement:
    """Return a statement that allows these actions (names of one service, separated by spaces) on these resources.

    With `when`, the request's condition keys must match these patterns.
    """
    statement: Statement = {
        "Effect": "Allow",
        "Action": [f"{service}:{action}" for action in actions.split()],
        "Resource": [*resources],
    }
    return statement | ({"Condition": {"StringLike": dict(when)}} if when else {})


def allow_linked_role(role_arn: str, principal: str) -> Statement:
    """Allow the creation of a service-linked role, which an AWS service needs when it is first used in an account."""
    return allow("iam", "CreateServiceLinkedRole", role_arn, when={"iam:AWSServiceName": principal})


def policy_document(statements: Iterable[Statement]) -> dict[str, Any]:
    """Return a policy with these statements."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def merge(statements: Iterable[Statement]) -> list[Statement]:
    """Combine statements that differ only in their actions, or only in their resources: IAM limits the size of a policy."""
    for varying, fixed in (("Action", "Resource"), ("Resource", "Action")):
        merged: dict[str, Statement] = {}
        for statement in statements:
            key = json.dumps([sorted(statement[fixed]), statement.get("Condition")], sort_keys=True)
            values = {*merged.get(key, statement)[varying], *statement[varying]}
            merged[key] = merged.get(key, statement) | {varying: sorted(values)}
        statements = merged.values()
    return list(statements)
