"""Do execution environments start, scale, stay warm, fail and end as Lambda's do?"""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded_aws import Delays, EmbeddedAws, ManualClock
from tests.support.sample_function import NAME, SampleFunction, raises_client_error

WHO = "import os\n\ndef handler(event, context):\n    return os.getpid()\n"
SLOW = "import os, time\n\ndef handler(event, context):\n    time.sleep(0.2)\n    return os.getpid()\n"

# The front looks at the credential's scope; it does not check a function's signature.
READS_SSM = """
import http.client, json, os

def handler(event, context):
    connection = http.client.HTTPConnection(os.environ["AWS_ENDPOINT_URL"].removeprefix("http://"))
    scope = f"{os.environ['AWS_ACCESS_KEY_ID']}/20260101/us-east-1/ssm/aws4_request"
    connection.request("POST", "/", json.dumps({"Names": [event["name"]], "WithDecryption": True}), {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "AmazonSSM.GetParameters",
        "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
    })
    response = connection.getresponse()
    answer = json.loads(response.read())
    return [response.status, answer["Parameters"][0]["Value"] if response.status == 200 else answer["message"]]
"""


def running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def ends(pid: int) -> bool:
    """Whether it ends soon: a process that is killed takes a moment, and is a zombie while nobody waits for it."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if "zombie" in Path(f"/proc/{pid}/status").read_text():
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.01)
    return False


def test_a_warm_environment_is_used_again(sample: SampleFunction) -> None:
    sample.create(WHO)
    first, second = sample.invoke(), sample.invoke()
    assert first.payload == second.payload
    assert "initDurationMs" in first.report["metrics"]
    assert "initDurationMs" not in second.report["metrics"]


def test_concurrent_requests_run_in_environments_of_their_own(sample: SampleFunction) -> None:
    sample.create(SLOW)
    with ThreadPoolExecutor(4) as pool:
        pids = [answer.payload for answer in pool.map(lambda _: sample.invoke(), range(4))]
    assert len(set(pids)) == 4
    assert {e.pid for e in sample.aws.environments(NAME)} == set(pids)
    assert sample.invoke().payload in pids


def test_reserved_concurrency_throttles(sample: SampleFunction) -> None:
    sample.create(SLOW)
    sample.client.put_function_concurrency(FunctionName=NAME, ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError) as refusal:
        sample.invoke()
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    response: Any = refusal.value.response
    assert response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    sample.client.put_function_concurrency(FunctionName=NAME, ReservedConcurrentExecutions=1)

    def outcome(_: int) -> str:
        try:
            return str(sample.invoke().payload)
        except ClientError as error:
            return str(error.response["Error"]["Code"])

    with ThreadPoolExecutor(3) as pool:
        outcomes = list(pool.map(outcome, range(3)))
    assert outcomes.count("TooManyRequestsException") == 2


def test_the_account_has_a_limit_too(sample: SampleFunction) -> None:
    sample.create()
    sample.aws.lambda_state().account_concurrency = 0
    with raises_client_error("TooManyRequestsException", "Rate Exceeded."):
        sample.invoke()


def test_a_new_version_has_environments_of_its_own(sample: SampleFunction) -> None:
    sample.create(WHO)
    latest = sample.invoke().payload
    version = sample.publish()
    assert sample.invoke(Qualifier=version).payload != latest
    sample.client.update_function_configuration(FunctionName=NAME, Timeout=4)
    sample.wait_until_ready()
    sample.invoke()
    assert not running(latest)
    published = sample.invoke(Qualifier=version).payload
    assert running(published)
    sample.client.delete_function(FunctionName=NAME, Qualifier=version)
    assert not running(published)


def test_everything_ends_with_the_embedded_aws(tmp_path: Path) -> None:
    forks = "import os, subprocess\n\nchild = subprocess.Popen(['sleep', '60'])\n\n"
    forks += "def handler(event, context):\n    return [os.getpid(), child.pid]\n"
    with EmbeddedAws(clock=ManualClock()) as aws:
        sample = SampleFunction(aws, tmp_path)
        sample.create(forks)
        pids = sample.invoke().payload
        assert all(map(running, pids))
    assert all(map(ends, pids))


def test_the_environment_holds_what_lambda_sets_and_nothing_else(sample: SampleFunction, monkeypatch: Any) -> None:
    monkeypatch.setenv("SECRET_OF_THE_HOST", "x")
    source = "import os, sys\n\ndef handler(event, context):\n"
    source += "    return {'environ': dict(os.environ), 'path': sys.path, 'site': 'site' in sys.modules}\n"
    sample.create(source, Environment={"Variables": {"STAGE": "prod"}}, MemorySize=256)
    answer = sample.invoke().payload
    environ = answer["environ"]
    assert environ["STAGE"] == "prod"
    assert environ["AWS_LAMBDA_FUNCTION_NAME"] == NAME
    assert environ["AWS_LAMBDA_FUNCTION_VERSION"] == "$LATEST"
    assert environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert environ["AWS_LAMBDA_LOG_FORMAT"] == "JSON"
    assert environ["AWS_LAMBDA_LOG_LEVEL"] == "INFO"
    assert environ["_HANDLER"] == "main.handler"
    assert environ["TZ"] == ":UTC"
    assert environ["AWS_ENDPOINT_URL"] == sample.aws.url
    assert not {"SECRET_OF_THE_HOST", "HOME", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE"} & set(environ)
    assert not [path for path in answer["path"] if "site-packages" in path or "dist-packages" in path]


def test_only_what_the_image_holds_can_be_imported(sample: SampleFunction) -> None:
    sample.create("import boto3\n")
    answer = sample.invoke()
    assert answer.error == "Unhandled"
    assert answer.payload["errorType"] == "Runtime.ImportModuleError"
    assert "No module named 'boto3'" in answer.payload["errorMessage"]


def test_the_task_root_is_never_written_to(sample: SampleFunction) -> None:
    sample.create("import other\n\ndef handler(event, context):\n    return 1\n")
    (root,) = [p.parent for p in sample._folder.rglob("main.py")]
    (root / "other.py").write_text("")
    assert sample.invoke().payload == 1
    assert sorted(p.name for p in root.rglob("*")) == ["main.py", "other.py"]


def test_an_uncaught_exception_leaves_the_environment_alive(sample: SampleFunction) -> None:
    sample.create("import os\n\ndef handler(event, context):\n    raise ValueError(f'{os.getpid()}')\n")
    first, second = sample.invoke(), sample.invoke()
    assert first.error == "Unhandled"
    assert first.payload["errorType"] == "ValueError"
    assert first.payload["stackTrace"]
    assert first.payload["requestId"] == first.report["requestId"]
    assert first.payload["errorMessage"] == second.payload["errorMessage"]
    assert first.report["status"] == "error"


def test_a_handler_that_is_too_slow_is_killed(sample: SampleFunction) -> None:
    source = (
        "import os, time\n\ndef handler(event, context):\n    time.sleep(event.get('s', 0))\n    return os.getpid()\n"
    )
    sample.create(source, Timeout=1)
    pid = sample.invoke().payload
    answer = sample.invoke({"s": 5})
    assert answer.error == "Unhandled"
    assert answer.payload["errorType"] == "Sandbox.Timedout"
    assert answer.payload["errorMessage"].endswith("Error: Task timed out after 1.00 seconds")
    assert (answer.report["status"], answer.report["errorType"]) == ("timeout", "Sandbox.Timedout")
    assert not running(pid)
    assert sample.invoke().payload != pid


@pytest.mark.parametrize(
    ("crash", "why"),
    [
        ("os._exit(3)", "Runtime exited with error: exit status 3"),
        ("os._exit(0)", "Runtime exited without providing a reason"),
        ("os.kill(os.getpid(), 9)", "Runtime exited with error: signal: killed"),
    ],
)
def test_a_crash_is_an_exit_error(sample: SampleFunction, crash: str, why: str) -> None:
    sample.create(f"import os\n\ndef handler(event, context):\n    print('last words')\n    {crash}\n")
    answer = sample.invoke()
    assert answer.payload["errorType"] == "Runtime.ExitError"
    assert answer.payload["errorMessage"].endswith(f"Error: {why}")
    assert "last words" in answer.tail
    assert not sample.aws.environments(NAME)


def test_too_much_memory_is_killed(sample: SampleFunction) -> None:
    source = "import time\n\ndef handler(event, context):\n    held = b'x' * 300_000_000\n    time.sleep(2)\n"
    sample.create(source + "    return len(held)\n")
    answer = sample.invoke()
    assert answer.payload["errorMessage"].endswith("Runtime exited with error: signal: killed")
    assert answer.report["metrics"]["maxMemoryUsedMB"] > 128


def test_a_failing_init_is_tried_twice_and_reported(sample: SampleFunction) -> None:
    sample.create("print('INIT runs')\nraise RuntimeError('no database')\n")
    answer = sample.invoke()
    assert answer.payload["errorType"] == "RuntimeError"
    assert answer.payload["errorMessage"] == "no database"
    messages = sample.aws.log_messages(f"/aws/lambda/{NAME}")
    assert messages.count("INIT runs") == 2
    assert '"platform.initReport"' in "".join(messages)


def test_a_slow_init_is_repeated_inside_the_functions_time_out(tmp_path: Path) -> None:
    with EmbeddedAws(clock=ManualClock(), delays=Delays(init_timeout_s=0.3)) as aws:
        sample = SampleFunction(aws, tmp_path)
        sample.create("import time\n\ntime.sleep(0.5)\n\ndef handler(event, context):\n    return 1\n")
        assert sample.invoke().payload == 1
        assert sample.invoke().payload == 1


def test_the_wrong_architecture_fails_when_invoked(sample: SampleFunction) -> None:
    sample.create(Architectures=["x86_64"])
    answer = sample.invoke()
    assert answer.payload["errorType"] == "Runtime.InvalidEntrypoint"
    assert "exec format error" in answer.payload["errorMessage"]


def test_payload_limits(sample: SampleFunction) -> None:
    sample.create("def handler(event, context):\n    return 'x' * event['size']\n")
    with raises_client_error("RequestTooLargeException"):
        sample.invoke({"size": 1, "more": "x" * 6 * 1024 * 1024})
    assert len(sample.invoke({"size": 6_000_000}).payload) == 6_000_000
    answer = sample.invoke({"size": 6_300_000})
    assert answer.payload["errorType"] == "Function.ResponseSizeTooLarge"
    assert "6291556 bytes" in answer.payload["errorMessage"]


def test_the_context_tells_the_function_about_itself(sample: SampleFunction) -> None:
    source = "def handler(event, context):\n    left_ms = context.get_remaining_time_in_millis()\n"
    sample.create(source + "    return [context.invoked_function_arn, left_ms]\n", Timeout=5)
    sample.client.create_alias(FunctionName=NAME, Name="live", FunctionVersion=sample.publish())
    arn, left_ms = sample.invoke(Qualifier="live").payload
    assert arn == f"arn:aws:lambda:us-east-1:123456789012:function:{NAME}:live"
    assert 3000 < left_ms <= 5000


def test_image_config_replaces_the_command(sample: SampleFunction) -> None:
    source = "def handler(event, context):\n    return 'main'\n\ndef other(event, context):\n    return 'other'\n"
    sample.create(source, ImageConfig={"Command": ["main.other"]})
    assert sample.invoke().payload == "other"


def test_invocation_types(sample: SampleFunction) -> None:
    sample.create()
    assert sample.client.invoke(FunctionName=NAME, InvocationType="DryRun")["StatusCode"] == 204
    assert sample.client.invoke(FunctionName=NAME, InvocationType="Event")["StatusCode"] == 202
    with raises_client_error("InvalidRequestContentException", "Could not parse request body into json"):
        sample.client.invoke(FunctionName=NAME, Payload=b"{")


def test_a_function_may_call_what_its_role_allows(sample: SampleFunction) -> None:
    """Signed as the function's role; everything it calls is recorded with the role as its caller."""
    allowed = {"Effect": "Allow", "Action": "ssm:GetParameters", "Resource": "arn:aws:ssm:*:*:parameter/sample/*"}
    role = sample.role(NAME, allowed)
    sample.create(READS_SSM, Role=role)
    sample.aws.client("ssm").put_parameter(Name="/sample/KEY", Type="SecureString", Value="v")
    assert sample.invoke({"name": "/sample/KEY"}).payload == [200, "v"]
    status, message = sample.invoke({"name": "/other/KEY"}).payload
    assert status == 400
    assert "is not authorized to perform: ssm:GetParameters on resource" in message
    calls = [call for call in sample.aws.calls if call.caller == role]
    assert [(call.action, call.status, call.mutating) for call in calls] == [
        ("ssm:GetParameters", 200, False),
        ("ssm:GetParameters", 400, False),
    ]
