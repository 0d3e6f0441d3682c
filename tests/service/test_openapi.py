"""Test that the responses of the deployed service conform to its OpenAPI document, with requests from schemathesis.

The environment variable EXAMPLES is the number of random requests to each operation. Schemathesis also derives requests
from the document.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from embedded_aws import EmbeddedAws
from scripts.project_changes import disable_throttling
from scripts.projects import TEMPLATE, project_environment
from tests.support.bake import Bake
from tests.support.deploy_tool import DeployTool, database_for, push_image

EXAMPLES = os.environ.get("EXAMPLES", "3")
HOOKS = {"SCHEMATHESIS_HOOKS": str(TEMPLATE / "tests/support/schemathesis_hooks.py")}
SCHEMATHESIS = [sys.executable, "-m", "schemathesis.cli", "run", "--no-color"]
OPTIONS = [
    "--checks=all",
    "--exclude-checks=allow_header_conformance",  # Starlette lists the methods of one route, not of the path
    f"--max-examples={EXAMPLES}",
    "--seed=1",
    "--continue-on-failure",
    "--generation-database=none",
]


@pytest.mark.parametrize(
    "answers",
    [{"endpoint": "function_url"}, {"endpoint": "http_api", "migrations": "alembic"}],
    ids=lambda answers: "-".join(answers.values()),
)
def test_responses_conform_to_the_openapi_document(
    bake: Bake, tmp_path: Path, record_property: Callable[[str, object], None], answers: dict[str, str]
) -> None:
    project = disable_throttling(bake(**answers).copy(tmp_path))
    with EmbeddedAws() as aws, database_for(project, aws):
        deployed = DeployTool(project, aws)("--image", push_image(project, aws))
        assert deployed.code == 0, deployed.err
        result = subprocess.run(
            [*SCHEMATHESIS, f"{deployed.url}openapi.json", *OPTIONS],
            cwd=tmp_path,
            env=project_environment(project.path) | HOOKS,
            capture_output=True,
            encoding="utf-8",
        )
        assert result.returncode == 0, result.stdout + result.stderr
        passed = re.search(r"(\d+) generated, (\d+) passed", result.stdout)
        assert passed, result.stdout
        assert int(passed[1]) == int(passed[2]) > 50
        record_property("figures", f"OpenAPI of {'-'.join(answers.values())}: {passed[1]} cases passed")
