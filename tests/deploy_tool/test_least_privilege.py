"""Compare what a role allows with what it is used for; test_every_combination.py does that for every combination."""

import urllib.error
import urllib.request
from pathlib import Path

from embedded_aws import EmbeddedAws
from scripts.project_changes import add_secret
from scripts.projects import Project
from tests.support.bake import Bake
from tests.support.deploy_tool import DeployTool, push_image
from tests.support.permissions import Grants, grants, missing, unused


def test_a_superfluous_and_a_missing_permission_are_noticed(bake: Bake, tmp_path: Path) -> None:
    project = add_secret(bake().copy(tmp_path))
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
        deploy = DeployTool(project, aws)
        deploy("secret", "set", "API_KEY", typed="value")
        deployed = deploy("--image", push_image(project, aws))
        assert deployed.code == 0, deployed.err
        urllib.request.urlopen(deployed.url + "mark", timeout=30).close()
        return set(grants(aws)), aws.used_by_roles
