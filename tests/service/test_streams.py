"""Test that an endless stream of server-sent events ends with the timeout, and that the log says why."""

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from embedded_aws import EmbeddedAws
from scripts.project_changes import append
from tests.support.bake import Bake
from tests.support.deploy_tool import DeployTool, push_image
from tests.support.deployed_stage import NAME

EVENTS = """

@app.get("/events")
async def events() -> StreamingResponse:
    async def endless() -> AsyncIterator[str]:
        while True:
            yield "data: tick\\n\\n"
            await asyncio.sleep(0.1)

    return StreamingResponse(endless(), media_type="text/event-stream")
"""
IMPORTS = """import asyncio
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
"""


def test_an_endless_stream_is_logged_before_it_ends_with_the_timeout(bake: Bake, tmp_path: Path) -> None:
    project = bake().copy(tmp_path)
    project.edit("deploy.toml", "timeout_s = 30", "timeout_s = 3")
    project.edit("app/main.py", "from fastapi import FastAPI\n", IMPORTS)
    append(project, "app/main.py", EVENTS)
    with EmbeddedAws() as aws:
        deployed = DeployTool(project, aws)("--image", push_image(project, aws))
        assert deployed.code == 0, deployed.err
        with pytest.raises(urllib.error.HTTPError, match="502"):
            urllib.request.urlopen(f"{deployed.url}events", timeout=30)
        records = [json.loads(message) for message in aws.log_messages(f"/aws/lambda/{NAME}")]
    # On Python 3.15, AWS's runtime client also warns that it is a preview.
    (warning,) = [r["message"] for r in records if r.get("level") == "WARNING" and r["logger"] == "aws_lambda.access"]
    assert warning == "GET /events: the client receives server-sent events only when the response is complete"
    assert records[-1]["record"]["status"] == "timeout"
