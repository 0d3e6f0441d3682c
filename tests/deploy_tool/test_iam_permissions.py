"""Test that superfluous and missing IAM permissions of a service are noticed.

test_every_combination.py compares the permissions with their use in every combination, and this module checks that the
comparison works. test_github_role.py tests the permissions of the roles with which GitHub deploys, and
test_iam_risks.py that no permission is a known security risk.
"""

import urllib.request
from pathlib import Path

from embedded_aws import EmbeddedAws
from scripts.project_changes import add_secret
from scripts.projects import Project
from tests.support.bake import Bake
from tests.support.deploy_tool import DeployTool, push_image
from tests.support.permissions import Grant, list_grants, missing, unused


def test_a_superfluous_and_a_missing_permission_are_noticed(bake: Bake, tmp_path: Path) -> None:
    project = add_secret(bake().copy(tmp_path))
    needed, superfluous = "ssm:GetParameters", "ssm:GetParametersByPath"
    project.edit("deploy/resources/parameters.py", '"GetParameters"', '"GetParameters GetParametersByPath"')
    grants, used = deploy_and_use(project)
    assert {action for _, action, _ in unused(grants, used)} == {superfluous}
    fewer = {grant for grant in grants if grant[1] != needed}
    assert {action for _, action, _ in missing(fewer, used)} == {needed}
    of_another_stage = {(role, action, resource.replace("prod", "dev")) for role, action, resource in grants}
    assert {action for _, action, _ in missing(of_another_stage, used)} == {action for _, action, _ in used}


def deploy_and_use(project: Project) -> tuple[set[Grant], set[Grant]]:
    """Deploy a service and send it a request. Return what its roles allow, and what they were used for."""
    with EmbeddedAws() as aws:
        deploy = DeployTool(project, aws)
        deploy("secret", "set", "API_KEY", typed="value")
        run = deploy("--image", push_image(project, aws))
        assert run.code == 0, run.err
        urllib.request.urlopen(run.url + "mark", timeout=30).close()
        return list_grants(aws), aws.used_by_roles
