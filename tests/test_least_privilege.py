"""Compare what a role allows with what it is used for; test_deploy.py does that for every combination."""

import urllib.error
import urllib.request
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tests.baking import Project
from tests.conftest import Bake
from tests.deploying import InProcess, push, with_a_secret
from tests.embedded_aws import EmbeddedAws

Grants = set[tuple[str, str, str]]  # role, action, resource; the resource may be a pattern


def test_a_superfluous_and_a_missing_permission_are_noticed(bake: Bake, tmp_path: Path) -> None:
    project = with_a_secret(bake().copy(tmp_path))
    needed, superfluous = "ssm:GetParameters", "ssm:GetParametersByPath"
    project.edit("deploy/resources/parameters.py", '"GetParameters"', '"GetParameters GetParametersByPath"')
    granted, used = observed(project)
    assert {action for _, action, _ in unused(granted, used)} == {superfluous}
    fewer = {grant for grant in granted if grant[1] != needed}
    assert {action for _, action, _ in missing(fewer, used)} == {needed}
    elsewhere = {(role, action, resource.replace("prod", "dev")) for role, action, resource in granted}
    assert {action for _, action, _ in missing(elsewhere, used)} == {action for _, action, _ in used}


def observed(project: Project) -> tuple[Grants, Grants]:
    """Return what the roles of a deployed service allow, and what they were used for."""
    with EmbeddedAws() as aws:
        deploy = InProcess(project, aws)
        deploy("secret", "set", "API_KEY", typed="value")
        deployed = deploy("--image", push(project, aws))
        assert deployed.code == 0, deployed.err
        urllib.request.urlopen(deployed.url + "mark", timeout=30).close()
        return set(grants(aws)), aws.used_by_roles


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
