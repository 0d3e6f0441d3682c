"""Does every combination deploy by its own ./deploy.sh, answer over HTTP, stay when nothing changed, and go?"""

import json
import re
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.baking import COMBINATIONS, Answers, name_of
from tests.conftest import Bake
from tests.deploying import database_of, deploy_sh, left_behind, push
from tests.embedded_aws import EmbeddedAws

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
        assert get(first.url + "health")[0] == 200
        assert get(first.url + "nothing-here") == (404, {"detail": "Not Found"})

        before = len(aws.calls)
        again = deploy_sh(project, aws, "--image", image)
        assert again.code == 0
        made = aws.calls[before:]
        assert [call.operation for call in made if call.mutating] == []
        assert len(made) <= READS + sum(MORE_READS.get(answer, 0) for answer in answers.values())

        main = project.path / "app/routers/health.py"
        main.write_text(main.read_text("utf-8").replace('"ok": True', '"ok": True, "second": True'), "utf-8")
        changed = deploy_sh(project, aws, "--image", push(project, aws))
        assert changed.code == 0, changed.err
        assert get(first.url) == (200, {"ok": True, "second": True})

        status = deploy_sh(project, aws, "status")
        assert status.code == 0
        assert "version 2" in status.out
        assert first.url in status.out
        logs = deploy_sh(project, aws, "logs")
        assert "GET /health 200" in logs.out
        assert "GET /nothing-here 404" in logs.out

        gone = deploy_sh(project, aws, "destroy", typed="my-api-prod\n")
        assert gone.code == 0
        assert gone.out.endswith("\n0 left\n")
        assert left_behind(aws) == []


def get(url: str) -> tuple[int, object]:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
