"""Calls of a Lambda function that wait for its response, and the end of its log."""

from __future__ import annotations

import base64
import contextlib
import json
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError
from botocore.parsers import ResponseParserError
from botocore.response import StreamingBody

from deploy.errors import error_code
from deploy.logs import format_record
from deploy.responses import QUOTED_CHARACTERS
from deploy.stage import Stage

# The version was idle for weeks, and a call starts to reactivate it (boto/boto3#3788). None of these calls ran.
REACTIVATING = {"CodeArtifactUserPendingException", "ResourceConflictException", "ResourceNotReadyException"}
# Lambda rejected the call before it ran (docs.aws.amazon.com/lambda/latest/api/API_Invoke.html).
THROTTLED = {"EC2ThrottledException", "TooManyRequestsException"}
THROTTLED_S = 60
LOG_TAIL_BYTES = 4_096  # Lambda returns only the end of the log


@dataclass(frozen=True)
class Invocation:
    """The response of a function. `error` is the message of the exception it raised, or empty."""

    response: Any
    error: str
    log_records: list[str]

    def log_text(self, last: int | None = None) -> str:
        """Return the log as text, each line once, or only the `last` lines."""
        lines = [line.text for record in self.log_records if (line := format_record(record))]
        return "\n".join([*dict.fromkeys(lines)][-last if last else None :])

    def report(self) -> dict[str, Any]:
        """Return what Lambda measured, such as initDurationMs and maxMemoryUsedMB.

        Source: docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html#platform-report
        """
        for record in self.log_records:
            with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):  # lines that the service printed
                event = json.loads(record)
                if event.get("type") == "platform.report":
                    return dict(event["record"]["metrics"])
        return {}


def invoke(stage: Stage, function: str, event: dict[str, Any]) -> Invocation:
    """Invoke a function, or a version of it ("name:3"), and wait for its response.

    Repeat the call only if Lambda rejected it before it ran. Raise HTTPClientError or ResponseParserError if the function
    may have run, but its response did not arrive.
    """
    responses: list[Any] = []
    last_attempt = stage.clock() + THROTTLED_S

    def has_run() -> bool:
        try:
            payload = json.dumps(event)
            responses.append(stage.invoker.invoke(FunctionName=function, LogType="Tail", Payload=payload))
        except ClientError as error:
            is_throttled = error_code(error) in THROTTLED and stage.clock() < last_attempt
            if not is_throttled and error_code(error) not in REACTIVATING:
                raise
        return bool(responses)

    stage.wait_until(has_run, f"{function} was not reactivated")
    result = responses[0]
    tail = base64.b64decode(result.get("LogResult", "")).decode(errors="replace")
    response = _read_payload(result["Payload"])
    error = ""
    if "FunctionError" in result:
        error = str(response.get("errorMessage") or "it crashed").strip()
    return Invocation(response, error, _split_records(tail))


def _read_payload(payload: StreamingBody) -> Any:
    """Return the value that the function returned. Lambda always sends valid JSON."""
    try:
        content = payload.read()
    except IncompleteReadError as error:  # unlike the other errors of a lost connection, it is not an HTTPClientError
        raise HTTPClientError(error=error) from None
    try:
        return json.loads(content)
    except ValueError:
        text = content[:QUOTED_CHARACTERS].decode(errors="replace") or "it is empty"
        raise ResponseParserError(f"Invoke received {text}") from None


def _split_records(tail: str) -> list[str]:
    """Split the end of a log into records. The first one may have lost its beginning, such as a long traceback."""
    first, *records = tail.splitlines() or [""]
    if len(tail) < LOG_TAIL_BYTES - 96 or first.startswith("{"):
        return [first, *records]
    rest = '{"level": "ERROR", "message": "(the end of a long record)", "stackTrace": ["' + first.partition('", "')[2]
    with contextlib.suppress(ValueError):
        json.loads(rest)
        records.insert(0, rest)
    return records
