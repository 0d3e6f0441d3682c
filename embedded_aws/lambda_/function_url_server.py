"""Serve function URLs over HTTP: authorize the caller, invoke the function and return its response or an error."""

import json
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from embedded_aws.cloudwatch.metrics import ServiceMetrics
from embedded_aws.errors import AwsError
from embedded_aws.faults import Faults
from embedded_aws.http_server import LoopbackServer
from embedded_aws.iam import signature
from embedded_aws.iam.authorization import Need
from embedded_aws.iam.policy import allows
from embedded_aws.lambda_.data_plane import DataPlane
from embedded_aws.lambda_.http_events import (
    HttpRequest,
    HttpResponse,
    MalformedResponse,
    build_event,
    parse_response,
    request_handler,
)
from embedded_aws.lambda_.state import FunctionUrl, LambdaState

FORBIDDEN = (
    "Forbidden. For troubleshooting Function URL authorization issues, see: "
    "https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"
)
BAD_GATEWAY = HttpResponse(502, b"Internal Server Error", [("Content-Type", "application/json")])


class FunctionUrlServer:
    """The function URLs of one Region."""

    def __init__(
        self,
        state: LambdaState,
        data_plane: DataPlane,
        metrics: ServiceMetrics,
        keys: Mapping[str, str],
        first_denied: Callable[[Iterable[Need]], Need | None],
        faults: Faults,
    ) -> None:
        self._state = state
        self._data_plane = data_plane
        self._metrics = metrics
        self._keys = keys
        self._first_denied = first_denied
        self._faults = faults
        self._servers: list[LoopbackServer] = []

    def open(self, function: str, qualifier: str) -> tuple[str, Callable[[], None]]:
        """Open a URL for an alias, or for $LATEST if the qualifier is empty. Return it and a function to close it.

        It refuses connections for `Delays.connect_s`. On AWS, the name of a new URL does not resolve at first.
        """
        server = LoopbackServer(
            request_handler(lambda request: self._serve(function, qualifier, request), self._faults)
        )
        self._servers.append(server)
        self._state.clock.call_later(self._state.delays.connect_s, server.listen)

        def close() -> None:
            if server in self._servers:
                self._servers.remove(server)
                server.close()

        return f"http://{server.address}/", close

    def close(self) -> None:
        """Close all URLs."""
        while self._servers:
            self._servers.pop().close()

    def _serve(self, function: str, qualifier: str, request: HttpRequest) -> HttpResponse:
        """Return the response and publish the metrics of the request."""
        started_at = time.monotonic()
        response = self._respond(function, qualifier, request)
        latency_ms = (time.monotonic() - started_at) * 1000
        values = {
            "UrlRequestCount": 1.0,
            "Url4xxCount": float(response.status // 100 == 4),
            "Url5xxCount": float(response.status // 100 == 5),
            "UrlRequestLatency": latency_ms,
        }
        self._metrics.put(self._state.region, function, qualifier, values)
        return response

    def _respond(self, function_name: str, qualifier: str, request: HttpRequest) -> HttpResponse:
        if request.headers.get("host", "").partition(":")[0] not in ("127.0.0.1", "localhost"):
            return HttpResponse.json(403, Message=FORBIDDEN)  # only its own host name is accepted: aws/aws-cdk#20090
        with self._state.lock:
            function = self._state.functions.get(function_name)
            url = function.urls.get(qualifier) if function else None
            if function is None or url is None:
                return HttpResponse.json(404, Message=None)
            statements = list(function.policies[qualifier].statements) if qualifier in function.policies else []
        if not self._is_authorized(function_name, url, statements, request):
            return HttpResponse.json(403, Message=FORBIDDEN)
        request_id = str(uuid.uuid4())
        payload = json.dumps(build_event(request, self._state.account, request_id)).encode()
        try:
            result = self._data_plane.invoke(self._state, function_name, qualifier, payload, trace_id=request.trace_id)
        except AwsError as error:
            return _error_response(error)
        response = BAD_GATEWAY
        if result.outcome.status == "success":
            with suppress(MalformedResponse):
                response = parse_response(result.outcome.payload)
        added = [("x-amzn-RequestId", request_id), ("X-Amzn-Trace-Id", request.trace_id)]
        return HttpResponse(response.status, response.body, [*response.headers, *added])

    def _is_authorized(
        self, function: str, url: FunctionUrl, statements: list[dict[str, Any]], request: HttpRequest
    ) -> bool:
        if self._state.clock.time() < url.created_at + self._state.delays.connect_s + self._state.delays.url_s:
            return False
        if url.auth_type == "AWS_IAM":  # in the same account, the caller's policies alone can allow both actions
            address = url.url.rstrip("/") + request.target
            arn = self._state.arn(function, url.qualifier)
            needs = [Need(f"lambda:{action}", arn) for action in ("InvokeFunctionUrl", "InvokeFunction")]
            is_signed = signature.is_valid(request.method, address, request.headers, request.body, "lambda", self._keys)
            return is_signed and self._first_denied(needs) is None
        # Since October 2025 a public URL needs both actions: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
        context = {"lambda:FunctionUrlAuthType": "NONE", "lambda:InvokedViaFunctionUrl": "true"}
        actions = ("lambda:InvokeFunctionUrl", "lambda:InvokeFunction")
        return all(allows(statements, action, principal="*", context=context) for action in actions)


def _error_response(error: AwsError) -> HttpResponse:
    if error.status == 429:
        return HttpResponse.json(429, Reason=error.members.get("Reason"), Type="User", message=error.message)
    if error.status == 413:
        return HttpResponse.json(413, Message=error.message)
    return BAD_GATEWAY
