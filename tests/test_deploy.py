"""Does every combination deploy by its own ./deploy.sh, answer over HTTP, use just what its role allows, and go?"""

import hashlib
import json
import re
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.baking import COMBINATIONS, Answers, name_of
from tests.conftest import Bake
from tests.deploying import InProcess, database_of, deploy_sh, left_behind, push, with_a_secret
from tests.embedded_aws import EmbeddedAws
from tests.test_least_privilege import grants, missing, unused

TRANSCRIPT = r"""my-api · prod · us-east-1
\[#\] Building image\.\.\.          skipped: --image is given
\[#\] Pushing to ECR\.\.\.          sha256:[0-9a-f]{4}… is there
\[#\] Preparing resources\.\.\.     \d+ created \(\d+\.\ds\)
\[#\] Releasing version 1\.\.\.     smoke test passed, live \(\d+\.\ds\)
\[#\] Checking the URL\.\.\.
      \$ curl -s (\S+/)
      \{"ok":true\}
      cold start: [\d,]+ ms(?: \(restore: [\d,]+ ms\))?  ·  warm: [\d,]+ ms  ·  memory: \d+ of 512 MB
\[#\] Cleaning up\.\.\.             nothing to remove
Deployed my-api in \d+s\.  \1
"""
FLOWER = b'{"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}'
READS = 25  # of a deploy that changes nothing, without a database, an API or environments that stand ready
MORE_READS = {"http_api": 1, "secrets_manager": 1, "alembic": 2, "provisioned_concurrency": 4}
MIGRATING = r"\[#\] Migrating database\.\.\.      empty → 0001 \(\d+\.\ds\)\n"


def transcript(answers: Answers) -> str:
    """What the first deploy prints, its steps numbered."""
    before, releasing, after = TRANSCRIPT.partition(r"\[#\] Releasing")
    migrating = MIGRATING if answers["migrations"] == "alembic" else ""
    parts = (before + migrating + releasing + after).split("#")
    return parts[0] + "".join(f"{number}/{len(parts) - 1}{part}" for number, part in enumerate(parts[1:], 1))


@pytest.mark.parametrize("answers", COMBINATIONS, ids=name_of)
def test_first_deploy_to_destroy(bake: Bake, tmp_path: Path, answers: Answers) -> None:
    project = bake(**answers).copy(tmp_path)
    with EmbeddedAws() as aws, database_of(project, aws):
        image = push(project, aws)
        first = deploy_sh(project, aws, "--image", image)
        assert first.code == 0, first.err
        assert re.fullmatch(transcript(answers), first.out), first.out
        assert get(first.url) == (200, {"ok": True})

        before = len(aws.calls)
        again = deploy_sh(project, aws, "--image", image)
        assert again.code == 0
        made = aws.calls[before:]
        assert [call.operation for call in made if call.mutating] == []
        assert len(made) <= READS + sum(MORE_READS.get(answer, 0) for answer in answers.values())

        with_a_secret(project)
        here = InProcess(project, aws)
        assert here("secret", "set", "API_KEY", typed="value").code == 0
        changed = here("--image", push(project, aws))
        assert changed.code == 0, changed.err
        assert get(first.url + "mark") == (200, hashlib.sha256(b"value").hexdigest())
        for path in ("", "health", "docs"):
            assert get(first.url + path)[0] == 200
        assert get(first.url + "predict", FLOWER)[0] == 200
        assert get(first.url + "nothing-here") == (404, {"detail": "Not Found"})
        assert_grants_are_what_is_used(aws)

        status = here("status")
        assert status.code == 0
        assert "version 2" in status.out
        assert first.url in status.out
        logs = here("logs")
        assert "GET /health 200" in logs.out
        assert "GET /nothing-here 404" in logs.out

        gone = deploy_sh(project, aws, "destroy", typed="my-api-prod\n")
        assert gone.code == 0
        assert gone.out.endswith("\n0 left\n")
        assert left_behind(aws) == []


def get(url: str, body: bytes | None = None) -> tuple[int, object]:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            content = answer.read()
            is_json = answer.headers["Content-Type"] == "application/json"
            return answer.status, json.loads(content) if is_json else content
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def assert_grants_are_what_is_used(aws: EmbeddedAws) -> None:
    granted = set(grants(aws))
    assert "logs:PutLogEvents" in {action for _, action, _ in granted}
    assert unused(granted, aws.used_by_roles) == set()
    assert missing(granted, aws.used_by_roles) == set()
    assert [grant for grant in granted if "*" in grant[1] or grant[2] == "*"] == []
