import json
import logging
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from aws_lambda import telemetry
from aws_lambda.jobs import JobError, job
from tests.aws_lambda import sample_jobs
from tests.aws_lambda.aws_server import AwsServer
from tests.aws_lambda.sample_jobs import Color
from tests.helpers import LONG_TIMEOUT_S, run_python

MODULE = "tests.aws_lambda.sample_jobs"
ORDER_ID = "6f0c0bd6-2f4c-4c43-9a3d-3f0a5b6f3c1e"
Run = Callable[..., list[str]]


def event(*bodies: str | dict[str, Any], attempt: int = 1) -> dict[str, Any]:
    """Return the event of messages that SQS delivers, with only the fields that the handler reads.

    https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
    """
    texts = [body if isinstance(body, str) else json.dumps(body) for body in bodies]
    attributes = {"ApproximateReceiveCount": str(attempt)}
    return {
        "Records": [
            {"messageId": f"message-{number}", "body": text, "attributes": attributes}
            for number, text in enumerate(texts)
        ]
    }


def message(name: str, arguments: object = None, job_id: str = "id-1") -> dict[str, Any]:
    return {"job": name, "id": job_id, "arguments": {} if arguments is None else arguments}


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Any:
    monkeypatch.setenv("JOBS_MODULE", MODULE)
    from aws_lambda.job_handler import handler

    sample_jobs.calls.clear()
    caplog.set_level(logging.INFO, "aws_lambda")
    return handler


@pytest.fixture
def run(handler: Any) -> Run:
    """Return a function that passes messages to the handler and returns the IDs of those that failed."""

    def run(*bodies: str | dict[str, Any], attempt: int = 1) -> list[str]:
        result = json.loads(json.dumps(handler(event(*bodies, attempt=attempt), None)))
        assert result.keys() == {"batchItemFailures"}
        return [failure["itemIdentifier"] for failure in result["batchItemFailures"]]

    return run


def test_a_job_receives_its_arguments_and_its_id(run: Run) -> None:
    assert run(message("send_receipt", {"order_id": "1"})) == []
    assert run(message("parse", {"uuid": ORDER_ID, "color": "red", "count": 2}), message("nightly")) == []
    receipt, parsed, night = sample_jobs.calls
    assert receipt == ("id-1", "1", "nobody@example.com")
    assert (str(parsed[0]), *parsed[1:]) == (ORDER_ID, Color.RED, 2)
    assert night == "id-1"


def test_a_finished_job_writes_one_record(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    run(message("send_receipt", {"order_id": "sesame"}), attempt=3)
    (record,) = caplog.records
    assert (record.levelname, record.message) == ("INFO", "send_receipt finished")
    fields = vars(record)
    assert (fields["job"], fields["job_id"], fields["attempt"]) == ("send_receipt", "id-1", 3)
    assert fields["duration_ms"] >= 0
    assert "sesame" not in str(fields)


def test_all_asynchronous_jobs_use_the_same_event_loop(run: Run) -> None:
    run(message("remember_loop"))
    run(message("run_another_loop", job_id="id-2"))
    run(message("remember_loop"), message("fail", {"error": "ValueError"}))
    first, in_another_loop, second = sample_jobs.calls
    assert first is second
    assert in_another_loop == "id-2"


def test_the_id_of_a_job_is_not_visible_to_the_next(run: Run) -> None:
    run(message("send_receipt", {"order_id": "1"}, "id-1"), message("send_receipt", {"order_id": "2"}, "id-2"))
    assert [job_id for job_id, _, _ in sample_jobs.calls] == ["id-1", "id-2"]


@pytest.mark.parametrize("name", ["fail_in_a_thread", "fail"])
def test_a_failed_job_writes_one_record_with_its_traceback(
    run: Run, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    arguments = {"error": "ValueError"} if name == "fail" else {}
    assert run(message("nightly"), message(name, arguments), attempt=2) == ["message-1"]
    _, record = caplog.records
    assert (record.levelname, record.message) == ("ERROR", f"{name} failed")
    assert (vars(record)["job"], vars(record)["job_id"], vars(record)["attempt"]) == (name, "id-1", 2)
    assert "ValueError: a bug" in caplog.text
    assert "sample_jobs.py" in caplog.text


def test_a_cancelled_job_is_a_failed_job(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    assert run(message("fail", {"error": "CancelledError"}), message("nightly")) == ["message-0"]
    assert [record.message for record in caplog.records] == ["fail failed", "nightly finished"]


def test_system_exit_ends_the_process(run: Run) -> None:
    with pytest.raises(SystemExit):
        run(message("fail", {"error": "SystemExit"}))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("not json", "it is not the message of a job"),
        ("[" * 100_000, "it is not the message of a job"),
        ("9" * 5000, "it is not the message of a job"),
        ("[]", "it is not the message of a job"),
        ({"job": "nightly"}, "it is not the message of a job"),
        ({"job": 1, "id": "1", "arguments": {}}, "it is not the message of a job"),
        ({"job": "nightly", "id": 1, "arguments": {}}, "it is not the message of a job"),
        (message("nightly", "text"), "it is not the message of a job"),
        (message("added_later"), "added_later is not a job of tests.aws_lambda.sample_jobs"),
        (message("not_a_job"), "not_a_job is not a job of tests.aws_lambda.sample_jobs"),
        (message("asyncio"), "asyncio is not a job of tests.aws_lambda.sample_jobs"),
        (message("send_receipt"), "send_receipt: missing argument order_id"),
        (message("send_receipt", {"order_id": "1", "copy": "sesame"}), "send_receipt: unknown parameter copy"),
        (message("send_receipt", {"order_id": ["sesame"]}), "send_receipt: order_id: Input should be a valid string"),
    ],
)
def test_a_message_that_cannot_be_used_stays_in_the_queue(
    run: Run, body: Any, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert run(body, message("nightly")) == ["message-0"]
    rejected, finished = caplog.records
    assert (rejected.levelname, rejected.message) == ("ERROR", f"The message message-0 cannot be used: {reason}")
    assert rejected.exc_info is None
    assert finished.message == "nightly finished"
    assert "sesame" not in caplog.text


def test_scheduled_jobs_are_checked(handler: Any) -> None:
    result = handler({"check": ["nightly", "send_receipt", "missing", "not_a_job"]}, None)
    assert json.loads(json.dumps(result)) == {
        "jobs": sorted(name for name, value in vars(sample_jobs).items() if hasattr(value, "later")),
        "unknown": ["missing", "not_a_job"],
        "need_arguments": ["send_receipt"],
    }
    assert "nightly" in result["jobs"]


def test_the_check_reports_annotations_that_are_not_supported(handler: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    @job
    def broken(value: "Missing") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    monkeypatch.setattr(sample_jobs, "broken", broken, raising=False)
    with pytest.raises(JobError, match=r"^broken: an annotation is not supported: name 'Missing'"):
        handler({"check": []}, None)


def test_telemetry_is_flushed_after_each_job(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []

    class Provider:
        def force_flush(self, timeout_millis: int) -> None:
            flushed.append(len(sample_jobs.calls))

    api: Any = ModuleType("opentelemetry.trace")
    api.get_tracer_provider = Provider
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", api)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", ModuleType("opentelemetry.sdk.trace"))
    monkeypatch.setattr(telemetry, "_flushing", [])
    monkeypatch.setattr(telemetry, "FLUSH_TIMEOUT_S", LONG_TIMEOUT_S)
    run(message("nightly"), message("fail", {"error": "ValueError"}), message("nightly"))
    assert flushed == [1, 1, 2]


def test_secrets_are_loaded_before_the_jobs_are_imported(aws_server: AwsServer) -> None:
{% if cookiecutter.secrets == 'ssm' %}
    parameter = {"Name": "/my-api/prod/API_KEY", "Value": "s3cr3t"}
    response: dict[str, object] = {"Parameters": [parameter], "InvalidParameters": []}
    aws_server.service, aws_server.respond = "ssm", lambda request: response
    secrets = {"SECRET_NAMES": "API_KEY", "SECRETS_PATH": "/my-api/prod/"}
{% else %}
    response = {"SecretString": '{"API_KEY": "s3cr3t"}'}
    aws_server.service, aws_server.respond = "secretsmanager", lambda request: response
    secrets = {"SECRET_NAMES": "API_KEY", "SECRET_ID": "my-api/prod"}
{% endif %}
    code = f"import sys, aws_lambda.job_handler; print(sys.modules['{MODULE}'].LOADED_WITH)"
    assert run_python(code, JOBS_MODULE=MODULE, **secrets) == "s3cr3t\n"


def test_the_application_is_not_imported() -> None:
    code = "import sys, aws_lambda.job_handler; print({'fastapi', 'mangum', 'aws_lambda.application'} & {*sys.modules})"
    assert run_python(code, JOBS_MODULE=MODULE) == "set()\n"
