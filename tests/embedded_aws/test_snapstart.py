"""Is a version with SnapStart initialized once, and does every environment of it start as a copy of that?"""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.sample_function import NAME, SampleFunction, raises_client_error

SNAPSTART = {"ApplyOn": "PublishedVersions"}
TELLS = """
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
    time.sleep(event.get("seconds", 0))
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
FAILS = """
import os
from snapshot_restore_py import register_after_restore

@register_after_restore
def restored():
    raise RuntimeError("no secret")

def handler(event, context):
    return {}
"""


def records(sample: SampleFunction, kind: str) -> list[dict[str, Any]]:
    messages = [json.loads(text) for text in sample.aws.log_messages(f"/aws/lambda/{NAME}") if text.startswith("{")]
    return [message["record"] for message in messages if message.get("type") == kind]


def test_one_init_and_a_copy_for_each_environment(sample: SampleFunction) -> None:
    sample.create(
        TELLS, Timeout=10, SnapStart=SNAPSTART, LoggingConfig={"LogFormat": "JSON", "SystemLogLevel": "DEBUG"}
    )
    version = sample.publish()
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: sample.invoke({"seconds": 0.3}, Qualifier=version), range(3)))
    told = [answer.payload for answer in answers]
    assert len({answer["at_init"]["pid"] for answer in told}) == 1
    pids = {answer["pid"] for answer in told}
    assert len(pids) == 3
    assert pids == {environment.pid for environment in sample.aws.environments(NAME)}
    assert {tuple(answer["hooks"]) for answer in told} == {("before", "after")}
    assert all(answer["same_event_loop"] for answer in told)
    assert len({answer["random"] for answer in told}) == 1  # whoever wants others has to ask for them after a restore
    (init,) = records(sample, "platform.initReport")
    assert (init["initializationType"], init["status"]) == ("snap-start", "success")
    assert len(records(sample, "platform.restoreReport")) == 3
    for answer in answers:
        metrics = answer.report["metrics"]
        assert 0 < metrics["restoreDurationMs"] <= metrics["billedRestoreDurationMs"]
        assert "initDurationMs" not in metrics
    assert "restoreDurationMs" not in sample.invoke(Qualifier=version).report["metrics"]


def test_no_keys_and_no_log_stream_in_the_snapshot(sample: SampleFunction) -> None:
    sample.create(TELLS, SnapStart=SNAPSTART)
    version = sample.publish()
    answer = sample.invoke({"credentials": True}, Qualifier=version).payload
    variables = answer["at_init"]["variables"]
    assert variables["AWS_LAMBDA_INITIALIZATION_TYPE"] == "snap-start"
    unset = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_LOG_STREAM_NAME"}
    assert not unset & set(variables)
    assert answer["credentials"].keys() == {"AccessKeyId", "SecretAccessKey", "Token", "Expiration"}
    latest = sample.invoke().payload
    assert latest["hooks"] == []
    assert unset <= set(latest["at_init"]["variables"])


def test_the_version_is_active_once_the_snapshot_is_taken(sample: SampleFunction) -> None:
    sample.create(TELLS, SnapStart=SNAPSTART)
    published = sample.client.publish_version(FunctionName=NAME)
    assert (published["State"], published["SnapStart"]["OptimizationStatus"]) == ("Pending", "Off")
    sample.wait_until_ready()
    while (now := sample.configuration("1"))["State"] == "Pending":
        pass
    assert (now["State"], now["SnapStart"]["OptimizationStatus"]) == ("Active", "On")
    assert sample.configuration()["SnapStart"]["OptimizationStatus"] == "Off"


def test_a_failing_init_fails_the_version(sample: SampleFunction) -> None:
    sample.create("raise RuntimeError('no model')", SnapStart=SNAPSTART)
    sample.client.publish_version(FunctionName=NAME)
    sample.wait_until_ready()
    while (now := sample.configuration("1"))["State"] == "Pending":
        pass
    assert (now["State"], now["StateReasonCode"]) == ("Failed", "FunctionError")
    with raises_client_error("ResourceConflictException", "Failed"):
        sample.invoke(Qualifier="1")


def test_a_failing_hook_is_told_in_the_log_only(sample: SampleFunction) -> None:
    sample.create(FAILS, SnapStart=SNAPSTART)
    with raises_client_error("SnapStartException", "check the Amazon CloudWatch logs"):
        sample.invoke(Qualifier=sample.publish())
    assert any("no secret" in text for text in sample.aws.log_messages(f"/aws/lambda/{NAME}"))


def test_copies_die_alone_and_with_their_version(sample: SampleFunction) -> None:
    sample.create(
        "import os\n\ndef handler(event, context):\n    os._exit(3) if event else None\n", SnapStart=SNAPSTART
    )
    version = sample.publish()
    died = sample.invoke({"die": True}, Qualifier=version)
    assert (died.error, died.payload["errorMessage"].partition("Error: ")[2]) == (
        "Unhandled",
        "Runtime exited with error: exit status 3",
    )
    assert sample.invoke(Qualifier=version).error == ""
    sample.client.delete_function(FunctionName=NAME, Qualifier=version)
    assert [e for e in sample.aws.environments(NAME) if e.alive] == []


@pytest.mark.parametrize("setting", ["None", "PublishedVersions"])
def test_turning_it_on_or_off_is_a_new_version(sample: SampleFunction, setting: str) -> None:
    sample.create(TELLS, SnapStart={"ApplyOn": "None" if setting != "None" else "PublishedVersions"})
    assert sample.publish() == "1"
    sample.client.update_function_configuration(FunctionName=NAME, SnapStart={"ApplyOn": setting})
    sample.wait_until_ready()
    assert sample.publish() == "2"
