"""Test the commands `status` and `logs`: the live version, and the log as readable lines."""

import re

import pytest

from tests.support.deployed_stage import NAME, DeployedStage

SERVICE = """
import json, time

def handler(event, context):
    path = event["rawPath"]
    if path == "/slow":
        time.sleep(60)
    if path == "/broken":
        {}["id"]
    record = {"level": "INFO", "logger": "aws_lambda.access", "message": "GET " + path}
    record |= {"status": 200, "duration_ms": 12.3}
    print(json.dumps({"timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **record}))
    return {"statusCode": 200, "body": "{}"}
"""
TIMEOUT = r"timeout: Sandbox\.Timedout after [\d,]+ ms"
STATUS = rf"""my-api · prod · us-east-1
live       version 1 · published [\d-]+ [\d:]+ UTC
previous   not recorded, .*
state      Active
image      \S+/built-elsewhere@sha256:[0-9a-f]{{64}}
limits     512 MB memory · 512 MB in /tmp · 1 s
URL        (\S+)
alarms     {NAME}-errors \w+ · {NAME}-5xx \w+
errors     \d in the last 24 hours \(see all with \./deploy\.sh logs --errors --hours 24\)
"""


@pytest.fixture
def url(stage: DeployedStage) -> str:
    """The URL of a service with log records of a response, an exception and a timeout."""
    stage.configure("timeout_s = 1")
    url = stage.deploy("--image", stage.push("logs", SERVICE)).url
    for path in ("/items", "/broken", "/slow"):
        stage.invoke({"rawPath": path})
    return url


def test_status_shows_the_live_version_and_recent_errors(stage: DeployedStage, url: str) -> None:
    status = stage.deploy("status")
    assert status.code == 0
    rows, _, errors = status.out.partition("--hours 24)\n")
    match = re.fullmatch(STATUS, rows + "--hours 24)\n")
    assert match, status.out
    assert match[1] == url
    assert "KeyError: 'id'" in errors
    assert re.search(TIMEOUT, errors)
    assert stage.mutations == []


def test_status_can_print_only_the_url(stage: DeployedStage, url: str) -> None:
    assert stage.deploy("status", "--url").out == f"{url}\n"


def test_logs_prints_all_records_or_only_errors(stage: DeployedStage, url: str) -> None:
    logs = stage.deploy("logs")
    assert logs.code == 0
    assert "GET /items 200 12.3 ms" in logs.out
    errors = stage.deploy("logs", "--errors")
    assert errors.code == 0
    assert "GET /items" not in errors.out
    assert re.search(f"ERROR Lambda: {TIMEOUT}", errors.out)


def test_status_and_logs_before_the_first_deploy_are_errors(stage: DeployedStage) -> None:
    status = stage.deploy("status")
    assert (status.code, status.err) == (1, "my-api has no release in stage prod.\nDeploy it: ./deploy.sh\n")
    logs = stage.deploy("logs")
    assert (logs.code, logs.err) == (
        1,
        "my-api has no logs in stage prod: it has not been deployed.\nDeploy it: ./deploy.sh\n",
    )
