import asyncio
import inspect
import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from threading import Event, get_ident
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from fastapi import BackgroundTasks, FastAPI
from fastapi.testclient import TestClient
from pydantic import AfterValidator, BaseModel, Field, SecretStr

from aws_lambda import jobs, sigv4
from aws_lambda.jobs import Job, JobError, QueuedJob, job, record_jobs
from tests.aws_lambda import sample_jobs
from tests.aws_lambda.aws_server import AwsServer, deny, disconnect, hang, throttle
from tests.aws_lambda.sample_jobs import Color, fail, nightly, parse, remember_loop, send_receipt
from tests.helpers import LONG_TIMEOUT_S, run_python, wait_until

QUEUE_URL = "https://sqs.us-east-1.amazonaws.com/123456789012/my-api-prod-jobs"
ORDER_ID = UUID("6f0c0bd6-2f4c-4c43-9a3d-3f0a5b6f3c1e")
FAULT_S = 30


@pytest.fixture(autouse=True)
def calls() -> list[Any]:
    """Return what the sample jobs received."""
    sample_jobs.calls.clear()
    return sample_jobs.calls


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run jobs in the background, as the development server does."""
    monkeypatch.setattr(jobs, "_recorded", None)


@pytest.fixture
def queue(aws_server: AwsServer, monkeypatch: pytest.MonkeyPatch) -> AwsServer:
    """Send jobs to SQS, as on Lambda."""
    aws_server.service, aws_server.respond = "sqs", lambda request: {"MessageId": "1"}
    monkeypatch.setattr(jobs, "_recorded", None)
    monkeypatch.setattr(jobs, "SEND_TIMEOUT_S", LONG_TIMEOUT_S)
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "my-api-prod")
    monkeypatch.setenv("JOBS_MODULE", "tests.aws_lambda.sample_jobs")
    monkeypatch.setenv("JOBS_QUEUE_URL", QUEUE_URL)
    return aws_server


# The function


def test_a_job_can_be_called_like_the_function(calls: list[Any]) -> None:
    @job
    def double(number: int) -> int:
        return 2 * number

    @job
    async def double_later(number: int) -> int:
        return 2 * number

    assert double(4) == 8
    assert asyncio.run(double_later(number=4)) == 8
    with pytest.raises(JobError, match=r"^No job is running$"):
        asyncio.run(send_receipt("1", email="ada@example.com"))


def test_a_job_keeps_the_name_the_documentation_and_the_signature() -> None:
    assert send_receipt.__name__ == "send_receipt"
    assert send_receipt.__doc__ == "Send a receipt."
    assert list(inspect.signature(send_receipt).parameters) == ["order_id", "email"]


def test_a_job_can_be_a_background_task(calls: list[Any]) -> None:
    @job
    async def background(number: int) -> None:
        calls.append(number)

    app = FastAPI()

    @app.get("/")
    async def route(tasks: BackgroundTasks) -> None:
        tasks.add_task(background, 1)

    TestClient(app).get("/")
    assert calls == [1]


def function_without_annotation(order_id) -> None:  # type: ignore[no-untyped-def]
    ...


def function_with_args(*args: int) -> None: ...


def function_with_kwargs(**kwargs: int) -> None: ...


def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> Any:
    yield 1


class Service:
    def method(self: "Service") -> None: ...


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (function_without_annotation, "^function_without_annotation: the parameter order_id needs an annotation$"),
        (function_with_args, r"^function_with_args: \*args: int is not supported"),
        (function_with_kwargs, r"^function_with_kwargs: \*\*kwargs: int is not supported"),
        (generator, "^generator is a generator"),
        (async_generator, "^async_generator is a generator"),
        (Service.method, r"^Service\.method is a method"),
        (Service, "is not a function"),
        (staticmethod(generator), "is not a function"),
    ],
)
def test_other_functions_cannot_be_jobs(function: Callable[..., Any], message: str) -> None:
    with pytest.raises(JobError, match=message):
        job(function)


# Arguments


class Order(BaseModel):
    id: UUID
    total: Decimal = Field(alias="sum")


@dataclass
class Point:
    x: float
    labels: dict[str, list[int]]


class Strict(BaseModel, strict=True):
    created: date


class Base(BaseModel):
    a: int


class Derived(Base):
    b: int


class Level(Enum):
    LOW = 1


def later(annotation: Any, value: object) -> Any:
    """Queue a job with one parameter, and return the argument that it would receive."""

    def function(value: Any) -> None: ...

    function.__annotations__["value"] = annotation
    with record_jobs() as queued:
        job(function).later_sync(value)
    return queued[0].arguments["value"]


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (str, 'grün " \\ \n \x00 \ufffe'),
        (int, 10**100),
        (float, 0.1),
        (bool, True),
        (bytes, b"text"),
        (UUID, ORDER_ID),
        (date, date(2026, 11, 29)),
        (datetime, datetime(2026, 11, 29, 3, 0, 0, 7)),
        (datetime, datetime(2026, 11, 29, tzinfo=timezone(timedelta(hours=5, minutes=30)))),
        (timedelta, timedelta(days=1, microseconds=1)),
        (Decimal, Decimal("0.10")),
        (Level, Level.LOW),
        (Literal["a", "b"], "a"),
        (Order, Order(id=ORDER_ID, sum=Decimal("1.50"))),
        (Order | None, None),
        (Point, Point(1.5, {"a": [1, 2]})),
        (Strict, Strict(created=date(2026, 11, 29))),
        (list[Order], [Order(id=ORDER_ID, sum=Decimal(1))]),
        (tuple[int, UUID], (1, ORDER_ID)),
        (set[int], {1, 2}),
        (dict[UUID, Decimal], {ORDER_ID: Decimal("0.10")}),
        (Any, {"a": [1, None, 2.5]}),
    ],
)
def test_an_argument_arrives_as_it_was_given(annotation: Any, value: object) -> None:
    result = later(annotation, value)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (float, float("nan")),
        (dict[str, float], {"a": float("inf")}),
        (float | None, float("nan")),
        (SecretStr, SecretStr("s3cr3t")),
        (dict[str, SecretStr], {"key": SecretStr("s3cr3t")}),
        (bytes, b"\xff"),
        (str, "\ud800"),
        (Base, Derived(a=1, b=2)),
        (Any, (1, 2)),
        (Any, ORDER_ID),
        (Any, object()),
        (Annotated[str, AfterValidator(lambda text: text + "!")], "a"),
    ],
)
def test_an_argument_that_changes_in_json_is_refused(annotation: Any, value: object) -> None:
    with pytest.raises(JobError, match=r"^function: value") as error:
        later(annotation, value)
    assert "s3cr3t" not in str(error.value)
    assert error.value.__cause__ is None


def test_an_invalid_argument_is_named_without_its_value() -> None:
    def check(text: str) -> str:
        raise ValueError(f"{text} is wrong")

    for annotation in (int, UUID, Literal["a"], Order, Annotated[str, AfterValidator(check)]):
        with pytest.raises(JobError, match=r"^function: value: .") as error:
            later(annotation, "sesame")
        assert "sesame" not in str(error.value)
        assert error.value.__context__ is None or error.value.__suppress_context__


def test_arguments_are_converted_to_the_type_of_the_parameter() -> None:
    assert later(UUID, str(ORDER_ID)) == ORDER_ID
    assert later(int, "7") == 7


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((), {}, "^send_receipt: missing a required argument: 'order_id'$"),
        (("1", "2", "3"), {}, "^send_receipt: too many positional arguments$"),
        (("1",), {"order_id": "2"}, "^send_receipt: multiple values for argument 'order_id'$"),
        (("1",), {"mail": "2"}, "^send_receipt: got an unexpected keyword argument 'mail'$"),
    ],
)
def test_arguments_must_fit_the_parameters(args: tuple[str, ...], kwargs: dict[str, str], message: str) -> None:
    with pytest.raises(JobError, match=message):
        send_receipt.later_sync(*args, **kwargs)


def test_all_kinds_of_parameters_can_be_used(queued_jobs: list[QueuedJob]) -> None:
    parse.later_sync(ORDER_ID, Color.RED)
    parse.later_sync(ORDER_ID, color=Color.RED, count=3)
    assert [queued.arguments for queued in queued_jobs] == [
        {"uuid": ORDER_ID, "color": Color.RED},  # the version that runs the job supplies the default
        {"uuid": ORDER_ID, "color": Color.RED, "count": 3},
    ]


def test_parameters_may_have_any_name(queued_jobs: list[QueuedJob]) -> None:
    @job
    def function(self: int, cls: int, args: int, model_config: int, json: int, schema: int, _private: int) -> None: ...

    function.later_sync(1, 2, 3, 4, json=5, schema=6, _private=7)
    assert list(queued_jobs[0].arguments.values()) == [1, 2, 3, 4, 5, 6, 7]


def test_annotations_may_be_text(queued_jobs: list[QueuedJob]) -> None:
    @job
    def function(order: "Order", count: "int" = 1) -> None: ...

    function.later_sync(Order(id=ORDER_ID, sum=Decimal(1)))
    assert queued_jobs[0].arguments == {"order": Order(id=ORDER_ID, sum=Decimal(1))}


@pytest.mark.parametrize("annotation", ["Missing", "1 +", Iterator[Event], Job])
def test_an_annotation_that_pydantic_does_not_support_is_an_error(annotation: Any) -> None:
    with pytest.raises(JobError, match=r"^function: an annotation is not supported: "):
        later(annotation, 1)


# Queueing on Lambda


def test_a_job_is_sent_to_the_queue(queue: AwsServer) -> None:
    queued_id = asyncio.run(send_receipt.later(order_id="grün \ufffe", email="ada@example.com"))
    (request,) = queue.requests
    assert request["headers"]["x-amz-target"] == "AmazonSQS.SendMessage"
    assert request["headers"]["content-type"] == "application/x-amz-json-1.0"
    assert request["QueueUrl"] == QUEUE_URL
    assert "\ufffe" not in request["MessageBody"]
    assert json.loads(request["MessageBody"]) == {
        "job": "send_receipt",
        "id": queued_id,
        "arguments": {"order_id": "grün \ufffe", "email": "ada@example.com"},
    }


def test_a_job_is_sent_from_a_thread(queue: AwsServer) -> None:
    queued_id = nightly.later_sync()
    message = json.loads(queue.requests[0]["MessageBody"])
    assert message == {"job": "nightly", "id": queued_id, "arguments": {}}
    assert UUID(queued_id).version == 4


def test_later_sync_does_not_block_an_event_loop(queue: AwsServer) -> None:
    async def route() -> None:
        nightly.later_sync()

    with pytest.raises(JobError, match=r"^nightly: use `await nightly\.later\(\)`"):
        asyncio.run(route())
    assert queue.requests == []


def test_a_transient_error_is_retried(queue: AwsServer) -> None:
    queue.faults = [throttle, disconnect]
    with pytest.raises(JobError, match=r"^nightly cannot be queued: AmazonSQS\.SendMessage: no response"):
        nightly.later_sync()
    queue.faults = [throttle]
    nightly.later_sync()
    assert len(queue.requests) == 4


def test_a_rejected_message_is_an_error(queue: AwsServer) -> None:
    queue.faults = [deny]
    with pytest.raises(JobError, match=r"^nightly cannot be queued: AmazonSQS\.SendMessage: AccessDeniedException"):
        asyncio.run(nightly.later())


def test_a_message_may_have_1_mib(queue: AwsServer) -> None:
    asyncio.run(send_receipt.later("1"))
    size = len(queue.requests[0]["MessageBody"])
    asyncio.run(send_receipt.later("1" * (jobs.MAX_MESSAGE_BYTES - size + 1)))
    assert len(queue.requests[1]["MessageBody"]) == 1_048_576
    with pytest.raises(JobError, match=r"^send_receipt: the message has 1,048,577 bytes\. SQS allows 1,048,576$"):
        asyncio.run(send_receipt.later("1" * (jobs.MAX_MESSAGE_BYTES - size + 2)))
    with pytest.raises(JobError, match="bytes"):
        asyncio.run(send_receipt.later("ü" * (jobs.MAX_MESSAGE_BYTES // 2)))


def test_a_job_must_be_in_the_jobs_module(queue: AwsServer) -> None:
    @job
    def send_receipt() -> None: ...

    with pytest.raises(JobError, match=r"^send_receipt is not a job of tests\.aws_lambda\.sample_jobs\. Import"):
        send_receipt.later_sync()
    assert queue.requests == []


def test_without_a_queue_the_table_in_deploy_toml_is_missing(queue: AwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOBS_QUEUE_URL")
    monkeypatch.delenv("JOBS_MODULE")
    with pytest.raises(JobError, match=r"^nightly cannot be queued, because deploy\.toml has no \[jobs\] table$"):
        nightly.later_sync()


async def fail_to_queue() -> int:
    """Queue a job, which must fail. Return how often another task ran meanwhile, a few times if `later` blocks it."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(tick())
    with pytest.raises(JobError, match="no response from SQS within"):
        await nightly.later()
    task.cancel()
    return ticks


@pytest.fixture
def silent_server(queue: AwsServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Send jobs to a server that accepts connections and never responds."""
    monkeypatch.setattr(sigv4, "TIMEOUT_S", FAULT_S)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", f"http://127.0.0.1:{server.getsockname()[1]}")
        yield


@pytest.fixture
def blocked_look_up(queue: AwsServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Block the look-up of host names, as a DNS server that cannot be reached does."""
    end = Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: end.wait(FAULT_S))
    yield
    end.set()


@pytest.mark.parametrize("fault", ["silent_server", "blocked_look_up"])
def test_an_unreachable_queue_is_an_error_within_2_s(
    fault: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert jobs.SEND_TIMEOUT_S < 2
    request.getfixturevalue(fault)
    monkeypatch.setattr(jobs, "SEND_TIMEOUT_S", 0.3)
    started = time.monotonic()
    assert asyncio.run(fail_to_queue()) > 100
    with pytest.raises(JobError, match="no response from SQS within"):
        nightly.later_sync()
    assert time.monotonic() - started < FAULT_S


def test_a_response_after_the_deadline_is_ignored(queue: AwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "SEND_TIMEOUT_S", 0.1)
    queue.faults = [hang]
    with pytest.raises(JobError, match="no response from SQS"):
        asyncio.run(nightly.later())
    queue.stopped.set()
    monkeypatch.setattr(jobs, "SEND_TIMEOUT_S", LONG_TIMEOUT_S)
    nightly.later_sync()


# Local execution


@pytest.mark.usefixtures("local")
def test_locally_a_job_runs_in_the_event_loop_of_the_caller(calls: list[Any]) -> None:
    async def route() -> asyncio.AbstractEventLoop:
        await remember_loop.later()
        assert calls == []
        await asyncio.sleep(0.05)
        return asyncio.get_running_loop()

    assert calls == [asyncio.run(route())]


def create_app() -> FastAPI:
    app = FastAPI()

    @app.get("/async")
    async def in_the_event_loop() -> list[str]:
        return [await send_receipt.later("1", email="ada@example.com"), await nightly.later()]

    @app.get("/sync")
    def in_a_thread() -> list[str]:
        return [send_receipt.later_sync("1", "ada@example.com"), nightly.later_sync()]

    @app.get("/loop")
    def loop_of_a_thread() -> None:
        remember_loop.later_sync()

    @app.get("/current")
    async def current() -> None:
        sample_jobs.calls.append(asyncio.get_running_loop())

    return app


@pytest.mark.usefixtures("local")
@pytest.mark.parametrize("path", ["/async", "/sync"])
def test_locally_jobs_of_routes_run_in_the_background(path: str, calls: list[Any]) -> None:
    with TestClient(create_app()) as client:
        receipt, night = client.get(path).json()
        wait_until(lambda: len(calls) == 2)
    assert set(calls) == {(receipt, "1", "ada@example.com"), night}


@pytest.mark.usefixtures("local")
def test_locally_an_async_job_of_a_plain_route_runs_in_the_event_loop_of_the_server(calls: list[Any]) -> None:
    with TestClient(create_app()) as client:
        client.get("/current")
        client.get("/loop")
        wait_until(lambda: len(calls) == 2)
        assert calls[0] is calls[1]


@pytest.mark.usefixtures("local")
def test_locally_a_job_survives_the_end_of_its_request(calls: list[Any]) -> None:
    async def request() -> None:
        async def route() -> None:
            await send_receipt.later("1")
            await asyncio.sleep(30)

        task = asyncio.create_task(route())
        await asyncio.sleep(0)
        task.cancel()  # as a server does when the client disconnects
        await asyncio.wait([task])
        while not calls:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(request(), LONG_TIMEOUT_S))
    assert [order_id for _, order_id, _ in calls] == ["1"]


@pytest.mark.usefixtures("local")
def test_locally_a_plain_function_does_not_block_the_event_loop(calls: list[Any]) -> None:
    @job
    def thread() -> None:
        calls.append(get_ident())

    async def route() -> None:
        await thread.later()
        while not calls:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(route(), LONG_TIMEOUT_S))
    assert calls != [get_ident()]


@pytest.mark.usefixtures("local")
def test_locally_an_exception_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def route() -> None:
        await fail.later("ValueError")
        await fail.later("SystemExit")
        await sample_jobs.fail_in_a_thread.later()
        while len(caplog.records) < 3:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(route(), LONG_TIMEOUT_S))
    messages = sorted(record.message for record in caplog.records)
    assert messages == ["fail failed", "fail failed", "fail_in_a_thread failed"]
    assert caplog.text.count("ValueError: a bug") == 2


def test_without_an_event_loop_a_job_runs_in_a_thread_until_it_is_finished() -> None:
    code = (
        "from tests.aws_lambda import sample_jobs\n"
        "sample_jobs.start_another.later_sync()\n"
        "sample_jobs.start_another_from_a_thread.later_sync()\n"
        "import threading\n"
        "[thread.join() for thread in threading.enumerate() if thread is not threading.main_thread()]\n"
        "print(sorted(order_id for _, order_id, _ in sample_jobs.calls))\n"
    )
    assert run_python(code) == "['2', '3']\n"


# Tests of a service


@pytest.mark.parametrize("path", ["/async", "/sync"])
def test_queued_jobs_can_be_asserted(path: str, calls: list[Any], queued_jobs: list[QueuedJob]) -> None:
    receipt, night = TestClient(create_app()).get(path).json()
    assert queued_jobs == [
        QueuedJob("send_receipt", {"order_id": "1", "email": "ada@example.com"}, receipt),
        QueuedJob("nightly", {}, night),
    ]
    assert calls == []


def test_recording_can_be_nested(queued_jobs: list[QueuedJob]) -> None:
    with record_jobs() as inner:
        nightly.later_sync()
    send_receipt.later_sync("1")
    assert [queued.name for queued in inner] == ["nightly"]
    assert [queued.name for queued in queued_jobs] == ["send_receipt"]


def test_the_code_that_sends_messages_is_imported_with_the_first_job() -> None:
    code = "import sys, aws_lambda.jobs; print({'anyio', 'starlette', 'aws_lambda.sigv4'} & {*sys.modules})"
    assert run_python(code) == "set()\n"
