"""Compare what IAM roles allow with the permissions that were used."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

from embedded_aws import EmbeddedAws

Grants = set[tuple[str, str, str]]  # role, action, resource; the resource may be a pattern


def grants(aws: EmbeddedAws) -> Iterable[tuple[str, str, str]]:
    """Yield every action on every resource that the policies of the roles in the account allow."""
    iam = aws.client("iam")
    for role in iam.list_roles()["Roles"]:
        name = role["RoleName"]
        assert iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"] == []
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
            for statement in document["Statement"]:
                assert set(statement) == {"Effect", "Action", "Resource"}
                for action in as_list(statement["Action"]):
                    for resource in as_list(statement["Resource"]):
                        yield role["Arn"], action, resource


def unused(granted: Grants, used: Grants) -> Grants:
    return {grant for grant in granted if not any(covers(grant, use) for use in used)}


def missing(granted: Grants, used: Grants) -> Grants:
    return {use for use in used if not any(covers(grant, use) for grant in granted)}


def covers(grant: tuple[str, str, str], use: tuple[str, str, str]) -> bool:
    return grant[:2] == use[:2] and fnmatchcase(use[2], grant[2])


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
