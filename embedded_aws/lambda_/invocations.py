"""The Invoke operation of the Lambda API: synchronous, asynchronous (Event) and DryRun."""

import json
import threading
import uuid
from base64 import b64encode
from typing import Any

from embedded_aws.calls import Params
from embedded_aws.errors import AwsError
from embedded_aws.lambda_.data_plane import DataPlane, check_payload_size
from embedded_aws.lambda_.state import LambdaState

MAX_ASYNC_PAYLOAD_BYTES = 1024 * 1024  # botocore's documentation of Invoke
ASYNC_ATTEMPTS = 3
ASYNC_MAX_AGE_S = 6 * 3600


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
        if invocation_type == "DryRun":
            self.state.function(params)
            return {"StatusCode": 204}
        if invocation_type == "Event":
            self.state.function(params)
            check_payload_size(payload, MAX_ASYNC_PAYLOAD_BYTES)
            threading.Thread(target=self._run_asynchronously, args=(name, qualifier, payload), daemon=True).start()
            return {"StatusCode": 202}
        client_context = params.get("ClientContext", "")
        result = self._data_plane.invoke(self.state, name, qualifier, payload, client_context)
        response: dict[str, Any] = {
            "StatusCode": 200,
            "ExecutedVersion": result.version,
            "Payload": result.outcome.payload,
        }
        if result.outcome.status != "success":
            response["FunctionError"] = "Unhandled"
        if params.get("LogType") == "Tail":
            response["LogResult"] = b64encode(result.tail).decode()
        return response

    def _run_asynchronously(self, name: str, qualifier: str, payload: bytes) -> None:
        """Run the function until it succeeds, at most three times. Repeat throttles and system errors for six hours.

        AWS waits one minute before the first repetition and two minutes before the second:
        https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
        """
        clock = self.state.clock
        request_id = str(uuid.uuid4())
        expires_at = clock.time() + ASYNC_MAX_AGE_S
        attempts = 0
        while clock.time() < expires_at and not self._data_plane.closed:
            try:
                result = self._data_plane.invoke(self.state, name, qualifier, payload, request_id=request_id)
                attempts += 1
                if result.outcome.status == "success" or attempts == ASYNC_ATTEMPTS:
                    return
            except AwsError as error:
                if error.status != 429 and error.status < 500:
                    return
            clock.sleep(self.state.delays.async_retry_s * max(attempts, 1))
