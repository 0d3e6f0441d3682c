"""Test the recipes for S3 buckets: one uses an existing bucket, and one adds a bucket to the service."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from embedded_aws import EmbeddedAws
from scripts.projects import Answers, combination_name
from tests.support.bake import Bake
from tests.support.deploy_tool import DeployTool
from tests.support.deployed_stage import NAME
from tests.support.recipes import (
    DEFAULT,
    DEPLOYED,
    LARGEST,
    RecipeService,
    copy_generated_files,
    deployed_with_every_recipe,
    follow,
    read_recipes,
)

BUCKET = f"{NAME}-123456789012"
REPORTS = "my-reports"
CONTENT = bytes(range(256)) * 40


@pytest.fixture(params=DEPLOYED, ids=combination_name)
def service(request: pytest.FixtureRequest, bake: Bake, tmp_path: Path) -> Iterator[RecipeService]:
    """Deploy a project with every recipe."""
    with deployed_with_every_recipe(bake(**request.param), tmp_path / "my-api") as service:
        yield service


def test_the_service_and_the_deploy_tool_use_the_bucket(service: RecipeService) -> None:
    """The fixture checks that `destroy` deletes it."""
    assert service.request("files/note.txt")[0] == 404
    assert service.request("files/note.txt", CONTENT, "PUT", content_type="application/octet-stream")[0] == 204
    assert service.request("files/note.txt") == (200, CONTENT)
    s3 = service.aws.client("s3")
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET)["Contents"]] == ["note.txt"]
    assert BUCKET in service.deploy("status").out
    assert "10 GB in the bucket" in service.deploy("cost").out
    s3.delete_public_access_block(Bucket=BUCKET)
    plan = service.deploy("plan", "--image", service.image).out
    assert f"~ S3 bucket {BUCKET}\n    PublicAccessBlockConfiguration" in plan
    assert service.deploy("--image", service.image).code == 0
    assert all(s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"].values())


def test_the_service_uses_an_existing_bucket_and_no_other(service: RecipeService) -> None:
    s3 = service.aws.client("s3")
    for bucket in (REPORTS, "other-reports"):
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key="october", Body=CONTENT)
    assert service.request("reports/october") == (200, CONTENT)
    assert service.request("reports/november")[0] == 404
    assert service.request("reports/december", CONTENT, "PUT", content_type="application/octet-stream")[0] == 204
    assert s3.get_object(Bucket=REPORTS, Key="december")["Body"].read() == CONTENT
    actions = {(action, resource) for _, action, resource in service.aws.used_by_roles if "my-reports" in resource}
    used = {("GetObject", "october"), ("GetObject", "november"), ("PutObject", "december")}
    assert actions == {(f"s3:{action}", f"arn:aws:s3:::{REPORTS}/{name}") for action, name in used}
    service.project.edit("deploy.toml", f'REPORTS = "{REPORTS}"', 'REPORTS = "other-reports"')
    assert service.deploy("--image", service.image).code == 0
    assert service.request("reports/october")[0] == 500
    assert "s3:GetObject on resource: arn:aws:s3:::other-reports/october" in json.dumps(
        service.wait_for_log_records("AccessDenied")
    )
    s3.delete_object(Bucket=REPORTS, Key="december")
    for bucket in (REPORTS, "other-reports"):
        s3.delete_object(Bucket=bucket, Key="october")
        s3.delete_bucket(Bucket=bucket)


@pytest.mark.parametrize("answers", [DEFAULT, LARGEST], ids=combination_name)
def test_the_github_roles_have_the_permissions_for_the_bucket(bake: Bake, tmp_path: Path, answers: Answers) -> None:
    project = copy_generated_files(bake(**answers), tmp_path / "my-api")
    follow(project, read_recipes(project)["Add an AWS resource: an S3 bucket"])
    with EmbeddedAws() as aws:
        assert DeployTool(project, aws)("github", "owner/repo").code == 0
        deploys, previews = (
            json.dumps(read_policies(aws, role)) for role in ("my-api.github", "my-api.github.previews")
        )
    assert "s3:CreateBucket" in deploys
    assert "s3:CreateBucket" in previews
    assert "s3:DeleteBucket" not in deploys
    assert "s3:DeleteBucket" in previews


def read_policies(aws: EmbeddedAws, role: str) -> list[dict[str, Any]]:
    """Return the documents of all inline and attached policies of a role."""
    iam = aws.client("iam")
    documents = [
        iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    ]
    for policy in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        arn = policy["PolicyArn"]
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        documents.append(iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"])
    return documents
