"""Test every combination: ./deploy.sh deploys it, it responds, it uses all its permissions, and it can be destroyed."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from embedded_aws import EmbeddedAws
from scripts.acceptance_scenario import run_scenario
from scripts.deploy_tool import Run, run_deploy_sh
from scripts.projects import COMBINATIONS, Answers, combination_name
from tests.support.bake import Bake
from tests.support.deploy_tool import database_for, push_image, remaining_resources, run_in_process
from tests.support.permissions import list_grants, missing, unused

MIGRATION_STEP = r"Migrating database\.\.\.      empty → 0001 \(\d+\.\ds\)"
STEPS = [  # patterns of the output of the first deploy
    r"Building image\.\.\.          skipped: --image was given",
    r"Pushing to ECR\.\.\.          sha256:[0-9a-f]{4}… exists",
    r"Preparing resources\.\.\.     \d+ created \(\d+\.\ds\)",
    MIGRATION_STEP,
    r"Releasing version 1\.\.\.     smoke test passed, live \(\d+\.\ds\)",
    r"Checking the URL\.\.\.\n"
    r"      \$ curl -s (?P<url>\S+/)\n"
    r"      \{\"ok\":true\}\n"
    r"      cold start: [\d,]+ ms(?: \(restore: [\d,]+ ms\))?  ·  warm: [\d,]+ ms  ·  memory: \d+ of 512 MB",
    r"Cleaning up\.\.\.             nothing to remove",
]
READS = 25  # AWS calls of a deploy without changes in the default project
MORE_READS = {"http_api": 1, "secrets_manager": 1, "alembic": 2, "provisioned_concurrency": 4}


def output_pattern(answers: Answers) -> str:
    """Return a pattern of the output of the first deploy."""
    steps = [step for step in STEPS if step != MIGRATION_STEP or answers["migrations"] == "alembic"]
    numbered = [rf"\[{number}/{len(steps)}\] {step}\n" for number, step in enumerate(steps, 1)]
    return r"my-api · prod · us-east-1\n" + "".join(numbered) + r"Deployed my-api in \d+s\.  (?P=url)\n"


@pytest.mark.parametrize("answers", COMBINATIONS, ids=combination_name)
def test_a_project_works_from_its_first_deploy_to_destroy(bake: Bake, tmp_path: Path, answers: Answers) -> None:
    project = bake(**answers).copy(tmp_path)
    with EmbeddedAws() as aws, database_for(project, aws):
        runs = list[Run]()

        def deploy(*arguments: str, typed: str = "") -> Run:
            if arguments[0] == "destroy":
                assert_all_permissions_are_used(aws)
            run = run_in_process if runs else run_deploy_sh
            runs.append(run(project, aws, *arguments, typed=typed))
            return runs[-1]

        @contextmanager
        def unchanged() -> Iterator[None]:
            """Check that a plan and a deploy in the block change nothing and read little."""
            before = len(aws.calls)
            yield
            calls = aws.calls[before:]
            assert [call.operation for call in calls if call.mutating] == []
            assert len(calls) <= 2 * READS + sum(2 * MORE_READS.get(answer, 0) for answer in answers.values())

        run_scenario(project, deploy, lambda: ["--image", push_image(project, aws)], "my-api-prod", unchanged=unchanged)
        assert re.fullmatch(output_pattern(answers), runs[0].out), runs[0].out
        assert remaining_resources(aws) == []


def assert_all_permissions_are_used(aws: EmbeddedAws) -> None:
    grants = list_grants(aws)
    assert "logs:PutLogEvents" in {action for _, action, _ in grants}
    assert unused(grants, aws.used_by_roles) == set()
    assert missing(grants, aws.used_by_roles) == set()
    assert [grant for grant in grants if "*" in grant[1] or grant[2] == "*"] == []
