"""List the policies of an account, and compare what its roles allow with the permissions that were used."""

import contextlib
import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from embedded_aws import EmbeddedAws

Grant = tuple[str, str, str]  # role, action, resource; the resource may be a pattern
Policy = tuple[str, Any]  # its kind ("role", "trust" or "resource"), and its document


def list_grants(aws: EmbeddedAws) -> set[Grant]:
    """Return every action on every resource that the policies of the roles allow.

    Raise AssertionError if a role has managed policies, or if a statement has conditions.
    """
    grants = set()
    iam = aws.client("iam")
    for role in iam.list_roles()["Roles"]:
        assert iam.list_attached_role_policies(RoleName=role["RoleName"])["AttachedPolicies"] == []
        for document in _role_policies(aws, role["RoleName"]):
            for statement in document["Statement"]:
                assert set(statement) == {"Effect", "Action", "Resource"}
                for action in _as_list(statement["Action"]):
                    grants |= {(role["Arn"], action, resource) for resource in _as_list(statement["Resource"])}
    return grants


def unused(grants: set[Grant], used: set[Grant]) -> set[Grant]:
    """Return the grants that allow nothing that was used."""
    return {grant for grant in grants if not any(_covers(grant, use) for use in used)}


def missing(grants: set[Grant], used: set[Grant]) -> set[Grant]:
    """Return the permissions that were used although no grant allows them."""
    return {use for use in used if not any(_covers(grant, use) for grant in grants)}


def list_policies(aws: EmbeddedAws) -> Iterator[Policy]:
    """Yield every policy of the roles, functions, topics, log groups and repositories in the account."""
    for role in aws.client("iam").list_roles()["Roles"]:
        yield "trust", role["AssumeRolePolicyDocument"]
        for document in _role_policies(aws, role["RoleName"]):
            yield "role", document
    for text in [*_function_policies(aws), *_topic_policies(aws), *_log_policies(aws), *_repository_policies(aws)]:
        yield "resource", json.loads(text)


def _role_policies(aws: EmbeddedAws, role: str) -> list[Any]:
    iam = aws.client("iam")
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    return [iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names]


def _function_policies(aws: EmbeddedAws) -> Iterator[str]:
    client = aws.client("lambda")
    for function in client.list_functions()["Functions"]:
        for qualifier in ({}, {"Qualifier": "live"}):
            with contextlib.suppress(client.exceptions.ResourceNotFoundException):
                yield client.get_policy(FunctionName=function["FunctionName"], **qualifier)["Policy"]


def _topic_policies(aws: EmbeddedAws) -> Iterator[str]:
    sns = aws.client("sns")
    for topic in sns.list_topics()["Topics"]:
        yield sns.get_topic_attributes(TopicArn=topic["TopicArn"])["Attributes"]["Policy"]


def _log_policies(aws: EmbeddedAws) -> Iterator[str]:
    for policy in aws.client("logs").describe_resource_policies()["resourcePolicies"]:
        yield policy["policyDocument"]


def _repository_policies(aws: EmbeddedAws) -> Iterator[str]:
    ecr = aws.client("ecr")
    for repository in ecr.describe_repositories()["repositories"]:
        with contextlib.suppress(ecr.exceptions.RepositoryPolicyNotFoundException):
            yield ecr.get_repository_policy(repositoryName=repository["repositoryName"])["policyText"]


def _covers(grant: Grant, use: Grant) -> bool:
    return grant[:2] == use[:2] and fnmatchcase(use[2], grant[2])


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
