"""Test that a version with SnapStart runs INIT once, and that its environments are restored from that snapshot."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.sample_function import NAME, SampleFunction, raises_client_error, send_request
from tests.support.sample_queue import wait_until

SNAPSTART = {"ApplyOn": "PublishedVersions"}
DESCRIBES_ITSELF = """
import asyncio, http.client, json, os, random, time, urllib.request
from snapshot_restore_py import register_after_restore, register_before_snapshot

at_init = {"pid": os.getpid(), "random": random.random(), "variables": dict(os.environ)}
hooks = []
register_before_snapshot(lambda: hooks.append("before"))
register_after_restore(lambda: hooks.append("after"))
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
print("initialized")

def handler(event, context):
    while "gate" in event and not os.path.exists(event["gate"]):
        time.sleep(0.01)
    thread = loop.run_until_complete(asyncio.to_thread(os.getpid))
    request = urllib.request.Request(
        os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1"),
        headers={"Authorization": os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")},
    )
    credentials = json.load(urllib.request.urlopen(request)) if event.get("credentials") else {}
    return {
        "at_init": at_init,
        "hooks": hooks,
        "pid": thread,
        "random": random.random(),
        "credentials": credentials,
        "same_event_loop": asyncio.get_event_loop() is loop,
    }
"""
FAILS_AFTER_RESTORE = """
import os
from snapshot_restore_py import register_after_restore

@register_after_restore
def restored():
    raise RuntimeError("no secret")

def handler(event, context):
    return {}
"""


def read_records(sample: SampleFunction, kind: str) -> list[dict[str, Any]]:
    messages = [json.loads(text) for text in sample.aws.log_messages(f"/aws/lambda/{NAME}") if text.startswith("{")]
    return [message["record"] for message in messages if message.get("type") == kind]


def test_init_runs_once_and_each_environment_is_restored(sample: SampleFunction) -> None:
    sample.create(
        DESCRIBES_ITSELF,
        SnapStart=SNAPSTART,
        LoggingConfig={"LogFormat": "JSON", "SystemLogLevel": "DEBUG"},
    )
    version = sample.publish()
    results = sample.invoke_concurrently(3, Qualifier=version)
    payloads = [result.payload for result in results]
    assert len({payload["at_init"]["pid"] for payload in payloads}) == 1
    pids = {payload["pid"] for payload in payloads}
    assert len(pids) == 3
    assert pids == {environment.pid for environment in sample.aws.environments(NAME)}
    assert {tuple(payload["hooks"]) for payload in payloads} == {("before", "after")}
    assert all(payload["same_event_loop"] for payload in payloads)
    assert len({payload["random"] for payload in payloads}) == 1  # the state of `random` is part of the snapshot
    (init,) = read_records(sample, "platform.initReport")
    assert (init["initializationType"], init["status"]) == ("snap-start", "success")
    assert len(read_records(sample, "platform.restoreReport")) == 3
    for result in results:
        metrics = result.report["metrics"]
        assert 0 < metrics["restoreDurationMs"] <= metrics["billedRestoreDurationMs"]
        assert "initDurationMs" not in metrics
    assert "restoreDurationMs" not in sample.invoke(Qualifier=version).report["metrics"]


def test_the_snapshot_contains_neither_credentials_nor_a_log_stream(sample: SampleFunction) -> None:
    sample.create(DESCRIBES_ITSELF, SnapStart=SNAPSTART)
    version = sample.publish()
    payload = sample.invoke({"credentials": True}, Qualifier=version).payload
    variables = payload["at_init"]["variables"]
    assert variables["AWS_LAMBDA_INITIALIZATION_TYPE"] == "snap-start"
    unset = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_LOG_STREAM_NAME"}
    assert not unset & set(variables)
    assert payload["credentials"].keys() == {"AccessKeyId", "SecretAccessKey", "Token", "Expiration"}
    latest = sample.invoke().payload
    assert latest["hooks"] == []
    assert unset <= set(latest["at_init"]["variables"])


def test_a_version_is_pending_until_its_snapshot_is_taken(sample: SampleFunction) -> None:
    sample.create(DESCRIBES_ITSELF, SnapStart=SNAPSTART)
    published = sample.client.publish_version(FunctionName=NAME)
    assert (published["State"], published["SnapStart"]["OptimizationStatus"]) == ("Pending", "Off")
    sample.wait_until_ready()
    while (config := sample.configuration("1"))["State"] == "Pending":
        pass
    assert (config["State"], config["SnapStart"]["OptimizationStatus"]) == ("Active", "On")
    assert sample.configuration()["SnapStart"]["OptimizationStatus"] == "Off"


def test_a_pending_version_cannot_be_invoked(sample: SampleFunction, tmp_path: Path) -> None:
    """botocore's documentation of SnapStartNotReadyException, which Invoke can return."""
    gate = tmp_path / "gate"
    waits = f"import os, time\nwhile not os.path.exists({str(gate)!r}):\n    time.sleep(0.01)\n"
    sample.create(waits + "def handler(event, context):\n    return {}\n", SnapStart=SNAPSTART)
    version = sample.client.publish_version(FunctionName=NAME)["Version"]
    sample.wait_until_ready()
    with raises_client_error("SnapStartNotReadyException", "when its state is Active"):
        sample.invoke(Qualifier=version)
    gate.touch()
    wait_until(lambda: sample.configuration(version)["State"] != "Pending")
    assert sample.invoke(Qualifier=version).payload == {}


def test_an_invocation_continues_if_its_version_is_deleted(sample: SampleFunction, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    waits = f"    while not os.path.exists({str(gate)!r}):\n        time.sleep(0.01)\n"
    sample.create(f"import os, time\ndef handler(event, context):\n{waits}    return 1\n", SnapStart=SNAPSTART)
    version = sample.publish()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(sample.invoke, Qualifier=version)
        wait_until(lambda: any(environment.invocations for environment in sample.aws.environments(NAME)))
        sample.client.delete_function(FunctionName=NAME, Qualifier=version)
        gate.touch()
        assert running.result().payload == 1
    assert sample.aws.environments(NAME) == []


def test_a_failing_init_fails_the_version(sample: SampleFunction) -> None:
    sample.create("raise RuntimeError('no model')", SnapStart=SNAPSTART)
    sample.client.publish_version(FunctionName=NAME)
    sample.wait_until_ready()
    while (config := sample.configuration("1"))["State"] == "Pending":
        pass
    assert (config["State"], config["StateReasonCode"]) == ("Failed", "FunctionError")
    with raises_client_error("ResourceConflictException", "Failed"):
        sample.invoke(Qualifier="1")


def test_the_error_of_a_failing_restore_hook_is_only_logged(sample: SampleFunction) -> None:
    sample.create(FAILS_AFTER_RESTORE, SnapStart=SNAPSTART)
    with raises_client_error("SnapStartException", "check the Amazon CloudWatch logs"):
        sample.invoke(Qualifier=sample.publish())
    assert any("no secret" in text for text in sample.aws.log_messages(f"/aws/lambda/{NAME}"))


def test_a_snapshot_that_aws_cannot_regenerate_fails_a_live_version(sample: SampleFunction) -> None:
    """botocore's documentation of SnapStartRegenerationFailureException, which Invoke can return."""
    url = sample.public_url("def handler(event, context):\n    return {}\n", SnapStart=SNAPSTART)
    assert send_request(url)[0] == 200
    sample.aws.fail_snapshot_regeneration(NAME, "live")
    with raises_client_error("SnapStartRegenerationFailureException", "couldn't regenerate the SnapStart snapshot"):
        sample.invoke(Qualifier="live")
    assert sample.configuration("live")["State"] == "Active"
    assert send_request(url)[:2] == (502, b"Internal Server Error")
    sample.client.update_function_configuration(FunctionName=NAME, Description="a new snapshot")
    sample.wait_until_ready()
    sample.update("def handler(event, context):\n    return {'new': True}\n")
    sample.client.update_alias(FunctionName=NAME, Name="live", FunctionVersion=sample.publish())
    assert send_request(url)[0] == 200


def test_a_crash_ends_one_environment_and_deleting_the_version_ends_all(sample: SampleFunction) -> None:
    sample.create(
        "import os\n\ndef handler(event, context):\n    os._exit(3) if event else None\n", SnapStart=SNAPSTART
    )
    version = sample.publish()
    crashed = sample.invoke({"crash": True}, Qualifier=version)
    assert (crashed.error, crashed.payload["errorMessage"].partition("Error: ")[2]) == (
        "Unhandled",
        "Runtime exited with error: exit status 3",
    )
    assert sample.invoke(Qualifier=version).error == ""
    sample.client.delete_function(FunctionName=NAME, Qualifier=version)
    assert [e for e in sample.aws.environments(NAME) if e.alive] == []


@pytest.mark.parametrize("setting", ["None", "PublishedVersions"])
def test_changing_snapstart_publishes_a_new_version(sample: SampleFunction, setting: str) -> None:
    before = "PublishedVersions" if setting == "None" else "None"
    sample.create(DESCRIBES_ITSELF, SnapStart={"ApplyOn": before})
    assert sample.publish() == "1"
    sample.client.update_function_configuration(FunctionName=NAME, SnapStart={"ApplyOn": setting})
    sample.wait_until_ready()
    assert sample.publish() == "2"
