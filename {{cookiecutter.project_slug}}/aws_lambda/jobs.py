"""Jobs: functions that run in the background, after the response or on a schedule.

    @job
    async def send_receipt(order_id: str, email: str) -> None: ...

    await send_receipt.later(order_id="1", email="ada@example.com")

On Lambda, `later()` sends a message to an SQS queue, and the jobs function (aws_lambda/job_handler.py) runs the job. A
job that fails is repeated, and sometimes SQS delivers a message twice, so a job must be able to run more than once;
job_id() is the same each time. On any other machine, the job runs in the background of the process, once.
"""

import asyncio
import inspect
import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property, update_wrapper
from importlib import import_module
from threading import Thread
from types import FunctionType
from typing import Any, Generic, ParamSpec, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError
{% if cookiecutter.cold_starts == 'snapstart' %}

from aws_lambda.restore import prepare_aws_calls
{% endif %}

P = ParamSpec("P")
R = TypeVar("R")

SEND_TIMEOUT_S = 1.8  # for all attempts to queue a job, so that the route gets an error within 2 s
MAX_MESSAGE_BYTES = 1_048_576  # the limit of SQS

current_job_id: ContextVar[str] = ContextVar("current_job_id")
_recorded: "list[QueuedJob] | None" = None  # the jobs that record_jobs() collects; None if it is not active


class JobError(Exception):
    """A job cannot be declared, queued or run. The message contains names of jobs and parameters, but no arguments."""


@dataclass(frozen=True)
class QueuedJob:
    """A job that was queued while record_jobs() was active, with the arguments that it would receive."""

    name: str
    arguments: dict[str, Any]
    id: str


class Job(Generic[P, R]):
    """A function that can be called as usual, or queued with later()."""

    __name__: str

    def __init__(self, function: Callable[P, R]) -> None:
        self.function = check_function(function)
        self.signature = inspect.signature(self.function)
        update_wrapper(self, self.function, updated=())

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function now."""
        return self.function(*args, **kwargs)  # type: ignore[no-any-return]

    async def later(self, /, *args: P.args, **kwargs: P.kwargs) -> str:
        """Queue a call of the function. Return the ID of the job once it is queued. Raise JobError if that fails.

        After a timeout, the job may have been queued nevertheless.
        """
        message = self._create_message(args, kwargs)
        if _recorded is not None:
            _recorded.append(message.describe())
        elif runs_on_lambda():
            sending = _send(message)
            with _explain_timeout(message):
                await asyncio.wait_for(asyncio.wrap_future(sending), SEND_TIMEOUT_S)
        else:
            from aws_lambda.local_jobs import start

            start(message)
        return message.id

    def later_sync(self, /, *args: P.args, **kwargs: P.kwargs) -> str:
        """Do the same as later(), for functions that are not asynchronous, such as a route that is a plain `def`."""
        if _is_event_loop_running():
            raise JobError(f"{self.__name__}: use `await {self.__name__}.later()`, because an event loop is running")
        message = self._create_message(args, kwargs)
        if _recorded is not None:
            _recorded.append(message.describe())
        elif runs_on_lambda():
            sending = _send(message)
            with _explain_timeout(message):
                sending.result(SEND_TIMEOUT_S)
        else:
            from aws_lambda.local_jobs import start_from_thread

            start_from_thread(message)
        return message.id

    @cached_property
    def adapters(self) -> dict[str, TypeAdapter[Any]]:
        """Return a validator for each parameter, by name. Raise JobError if pydantic does not support an annotation."""
        try:
            annotations = get_type_hints(self.function, include_extras=True)
            return {name: TypeAdapter(annotations[name]) for name in self.signature.parameters}
        except Exception as error:  # it may evaluate annotations that are text, so any exception is possible
            raise JobError(f"{self.__name__}: an annotation is not supported: {error}") from error

    @property
    def required(self) -> list[str]:
        """The names of the parameters without a default."""
        parameters = self.signature.parameters.values()
        return [parameter.name for parameter in parameters if parameter.default is parameter.empty]

    def load_arguments(self, arguments: Mapping[str, Any]) -> inspect.BoundArguments:
        """Validate the arguments of a message. Raise JobError if they do not fit the parameters."""
        if unknown := [name for name in arguments if name not in self.adapters]:
            raise JobError(f"{self.__name__}: unknown parameter {', '.join(unknown)}")
        if missing := [name for name in self.required if name not in arguments]:
            raise JobError(f"{self.__name__}: missing argument {', '.join(missing)}")
        bound = self.signature.bind_partial()
        for name, adapter in self.adapters.items():
            if name in arguments:
                with self._explain_errors(name):
                    bound.arguments[name] = adapter.validate_json(json.dumps(arguments[name]))
        return bound

    def _create_message(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> "Message":
        check_if_known(self)
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise JobError(f"{self.__name__}: {error}") from None
        arguments = {name: self._to_json(name, value) for name, value in bound.arguments.items()}
        message = Message(self, str(uuid.uuid4()), arguments)
        if (size := len(message.body.encode())) > MAX_MESSAGE_BYTES:
            raise JobError(f"{self.__name__}: the message has {size:,} bytes. SQS allows {MAX_MESSAGE_BYTES:,}")
        return message

    def _to_json(self, name: str, value: object) -> Any:
        """Return the value that the message contains. Raise JobError if the job would receive a different argument."""
        adapter = self.adapters[name]
        with self._explain_errors(name):
            validated = adapter.validate_python(value)
            text = adapter.dump_json(validated, by_alias=True, round_trip=True, warnings=False)
            if adapter.validate_json(text) == validated:
                return json.loads(text)
        raise JobError(f"{self.__name__}: {name} cannot be queued, because it changes when it is written as JSON")

    @contextmanager
    def _explain_errors(self, parameter: str) -> Iterator[None]:
        """Replace exceptions of pydantic and of its validators, whose messages contain values."""
        try:
            yield
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False, include_context=False)[0]
            # The message of a validator of the service may contain the value; those of pydantic do not.
            is_custom = details["type"] in ("value_error", "assertion_error")
            reason = "the value is not valid" if is_custom else details["msg"]
        except Exception as error:
            reason = f"the value is not valid or cannot be written as JSON ({type(error).__name__})"
        else:
            return
        raise JobError(f"{self.__name__}: {parameter}: {reason}") from None


class AsyncJob(Job[P, R]):
    """A job that frameworks recognize as asynchronous, for example as a background task of Starlette."""

    async def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Any:  # type: ignore[override]
        """Call the function now."""
        return await self.function(*args, **kwargs)


def job(function: Callable[P, R]) -> Job[P, R]:
    """Turn a function into a job. It must be an attribute of the module that deploy.toml names under [jobs].

    All parameters need annotations that pydantic supports, and arguments must have a representation in JSON. Raise
    JobError for a function that cannot be a job.
    """
    job_class: type[Job[P, R]] = AsyncJob if inspect.iscoroutinefunction(function) else Job
    return job_class(function)


def job_id() -> str:
    """Return the ID of the job that is running. It is the same when the job is repeated."""
    try:
        return current_job_id.get()
    except LookupError:
        raise JobError("No job is running") from None


@contextmanager
def record_jobs() -> Iterator[list[QueuedJob]]:
    """Collect the jobs that are queued in the `with` block, in all threads, instead of running them."""
    global _recorded
    previous, _recorded = _recorded, []
    try:
        yield _recorded
    finally:
        _recorded = previous


def check_function(function: Callable[..., Any]) -> FunctionType:
    """Return the function if it can be a job. Raise JobError otherwise."""
    if not isinstance(function, FunctionType):
        raise JobError(f"{function!r} is not a function, so it cannot be a job")
    name = function.__qualname__
    if "." in name and not name.rpartition(".")[0].endswith("<locals>"):
        raise JobError(f"{name} is a method. A job must be a function")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise JobError(f"{name} is a generator. A job must be a function without `yield`")
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise JobError(f"{name}: {parameter} is not supported. List the parameters one by one")
        if parameter.annotation is parameter.empty:
            raise JobError(f"{name}: the parameter {parameter.name} needs an annotation")
    return function


def find_job(name: str) -> Job[..., Any] | None:
    """Return a job of the jobs module, or None if the module has no job of this name."""
    attribute = getattr(import_module(os.environ["JOBS_MODULE"]), name, None)
    return attribute if isinstance(attribute, Job) else None


def check_if_known(job: Job[..., Any]) -> None:
    """Raise JobError if the jobs function could not find the job. Locally, the name of the module is not known."""
    module = os.environ.get("JOBS_MODULE")
    if module and find_job(job.__name__) is not job:
        raise JobError(f"{job.__name__} is not a job of {module}. Import it there, and put @job above other decorators")


def runs_on_lambda() -> bool:
    """Return True if this process runs on Lambda."""
    return "AWS_LAMBDA_FUNCTION_NAME" in os.environ


@dataclass(frozen=True)
class Message:
    """A job with its arguments, as they are sent to the queue."""

    job: Job[..., Any]
    id: str
    arguments: dict[str, Any]  # values that JSON can represent

    @property
    def body(self) -> str:
        """The message as JSON, see `load_message` in aws_lambda/job_handler.py."""
        message = {"job": self.job.__name__, "id": self.id, "arguments": self.arguments}
        text = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
        # The two characters that may occur in JSON but not in a message (SendMessage in the API reference of SQS).
        return text.replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")

    def describe(self) -> QueuedJob:
        """Return the job with the arguments that it would receive."""
        return QueuedJob(self.job.__name__, dict(self.job.load_arguments(self.arguments).arguments), self.id)


def _send(message: Message) -> "Future[None]":
    """Send the message to the queue in a thread, because the look-up of a host name cannot be interrupted."""
    queue_url = os.environ.get("JOBS_QUEUE_URL")
    if not queue_url:
        raise JobError(f"{message.job.__name__} cannot be queued, because deploy.toml has no [jobs] table")
    future: Future[None] = Future()

    def send() -> None:
        try:
            # Import this for the first job, so that no cold start waits for it.
            from aws_lambda.sigv4 import AwsError, call_aws

            try:
                call_aws("sqs", "AmazonSQS.SendMessage", {"QueueUrl": queue_url, "MessageBody": message.body})
            except AwsError as error:
                raise JobError(f"{message.job.__name__} cannot be queued: {error}") from None
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(None)

    future.set_running_or_notify_cancel()  # so that a timeout of later() does not cancel it
    Thread(target=send, name="send job", daemon=True).start()
    return future


@contextmanager
def _explain_timeout(message: Message) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise JobError(
            f"{message.job.__name__} cannot be queued: no response from SQS within {SEND_TIMEOUT_S} s. "
            "A function in a VPC needs a NAT gateway or an interface endpoint for sqs"
        ) from None


def _is_event_loop_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
{% if cookiecutter.cold_starts == 'snapstart' %}


prepare_aws_calls()
{% endif %}
