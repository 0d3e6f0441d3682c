"""The Invoke operation of the Lambda API: synchronous, asynchronous (Event) and DryRun."""

import json
import threading
import uuid
from base64 import b64encode
from dataclasses import dataclass
from typing import Any

from embedded_aws.calls import Params
from embedded_aws.errors import AwsError
from embedded_aws.lambda_.data_plane import DataPlane, check_payload_size
from embedded_aws.lambda_.state import LambdaState

MAX_ASYNC_PAYLOAD_BYTES = 1024 * 1024  # botocore's documentation of Invoke
ASYNC_ATTEMPTS = 3
ASYNC_MAX_AGE_S = 6 * 3600


@dataclass
class AsynchronousEvent:
    """An event that Lambda has accepted. `attempts` is how often the function has run with it."""

    name: str
    qualifier: str
    payload: bytes
    request_id: str
    expires_at: float
    attempts: int = 0


class Invocations:
    """Implement Invoke for the functions of one Region."""

    def __init__(self, state: LambdaState, data_plane: DataPlane) -> None:
        self.state = state
        self._data_plane = data_plane

    def invoke(self, params: Params) -> dict[str, Any]:
        """Return the response of Invoke to these parameters. Raise AwsError if the function cannot be invoked."""
        name, qualifier = self.state.locate(params)
        payload = params.get("Payload") or b""
        invocation_type = params.get("InvocationType", "RequestResponse")
        if payload:
            try:
                json.loads(payload)
            except ValueError as error:
                message = f"Could not parse request body into json: {error}"
                raise AwsError("InvalidRequestContentException", message) from error
        if invocation_type in ("DryRun", "Event"):
            function, qualifier = self.state.function(params)
            self.state.version(function, qualifier)
        if invocation_type == "DryRun":
            return {"StatusCode": 204}
        if invocation_type == "Event":
            check_payload_size(payload, MAX_ASYNC_PAYLOAD_BYTES)
            expires_at = self.state.clock.time() + ASYNC_MAX_AGE_S
            self._start(AsynchronousEvent(name, qualifier, payload, str(uuid.uuid4()), expires_at))
            return {"StatusCode": 202}
        client_context = params.get("ClientContext", "")
        with_tail = params.get("LogType") == "Tail"
        result = self._data_plane.invoke(self.state, name, qualifier, payload, client_context, complete_tail=with_tail)
        response: dict[str, Any] = {
            "StatusCode": 200,
            "ExecutedVersion": result.version,
            "Payload": result.outcome.payload,
        }
        if result.outcome.status != "success":
            response["FunctionError"] = "Unhandled"
        if with_tail:
            response["LogResult"] = b64encode(result.tail).decode()
        return response

    def _start(self, event: AsynchronousEvent) -> None:
        threading.Thread(target=self._run, args=(event,), daemon=True).start()

    def _run(self, event: AsynchronousEvent) -> None:
        """Run the function, at most three times if it fails.

        Throttled invocations, versions that are not ready and system errors do not count; they are repeated for six
        hours. AWS waits one minute before the first repetition and two minutes before the second:
        https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
        """
        clock = self.state.clock
        if clock.time() >= event.expires_at or self._data_plane.closed:
            return
        try:
            result = self._data_plane.invoke(
                self.state, event.name, event.qualifier, event.payload, request_id=event.request_id
            )
            event.attempts += 1
            if result.outcome.status == "success" or event.attempts == ASYNC_ATTEMPTS:
                return
        except AwsError as error:
            if error.status not in (409, 429) and error.status < 500:
                return
        clock.call_later(self.state.delays.async_retry_s * max(event.attempts, 1), lambda: self._start(event))
