"""A function URL over real HTTP: who may call it, and what the caller gets when the function cannot answer."""

import json
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from embedded_aws.cloudwatch.metrics import LambdaMetrics
from embedded_aws.errors import AwsError
from embedded_aws.http_server import LoopbackServer, stop
from embedded_aws.iam import signature
from embedded_aws.iam.authorization import Need
from embedded_aws.iam.policy import allows
from embedded_aws.lambda_.data_plane import DataPlane
from embedded_aws.lambda_.http_events import MalformedAnswer, Reply, Request, event, handler, response
from embedded_aws.lambda_.state import FunctionUrl, LambdaState

FORBIDDEN = (
    "Forbidden. For troubleshooting Function URL authorization issues, see: "
    "https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"
)
FAILED = Reply(502, b"Internal Server Error", [("Content-Type", "application/json")])


class FunctionUrlServer:
    """Opens and serves the URLs of one Region."""

    def __init__(
        self,
        state: LambdaState,
        data_plane: DataPlane,
        metrics: LambdaMetrics,
        keys: Callable[[], Mapping[str, str]],
        permits: Callable[[Iterable[Need]], Need | None],
    ) -> None:
        self._state = state
        self._data_plane = data_plane
        self._metrics = metrics
        self._keys = keys
        self._permits = permits
        self._servers: list[LoopbackServer] = []

    def open(self, function: str, qualifier: str) -> tuple[str, Callable[[], None]]:
        server = LoopbackServer(handler(lambda request: self._serve(function, qualifier, request)))
        self._servers.append(server)

        def close() -> None:
            if server in self._servers:
                self._servers.remove(server)
                stop(server)

        return f"http://{server.address}/", close

    def close(self) -> None:
        while self._servers:
            stop(self._servers.pop())

    def _serve(self, function: str, qualifier: str, request: Request) -> Reply:
        begun = time.monotonic()
        reply = self._reply(function, qualifier, request)
        latency_ms = (time.monotonic() - begun) * 1000
        counts = {
            "UrlRequestCount": 1.0,
            "Url4xxCount": float(reply.status // 100 == 4),
            "Url5xxCount": float(reply.status // 100 == 5),
            "UrlRequestLatency": latency_ms,
        }
        self._metrics.put(self._state.region, function, qualifier, counts)
        return reply

    def _reply(self, function: str, qualifier: str, request: Request) -> Reply:
        if request.headers.get("host", "").partition(":")[0] not in ("127.0.0.1", "localhost"):
            return Reply.json(403, Message=FORBIDDEN)  # it answers to its own name only: aws/aws-cdk#20090
        with self._state.lock:
            held = self._state.functions.get(function)
            url = held.urls.get(qualifier) if held else None
            if url is None or held is None:
                return Reply.json(404, Message=None)
            statements = list(held.policies[qualifier].statements) if qualifier in held.policies else []
        if not self._authorized(function, url, statements, request):
            return Reply.json(403, Message=FORBIDDEN)
        request_id = str(uuid.uuid4())
        payload = json.dumps(event(request, self._state.account, request_id)).encode()
        try:
            result = self._data_plane.invoke(self._state, function, qualifier, payload, trace_id=request.trace_id)
        except AwsError as error:
            return _refusal(error)
        reply = FAILED
        if result.outcome.status == "success":
            with suppress(MalformedAnswer):
                reply = response(result.outcome.payload)
        extra = [("x-amzn-RequestId", request_id), ("X-Amzn-Trace-Id", request.trace_id)]
        return Reply(reply.status, reply.body, [*reply.headers, *extra])

    def _authorized(self, function: str, url: FunctionUrl, statements: list[dict[str, Any]], request: Request) -> bool:
        if self._state.clock.time() < url.created_at + self._state.delays.url_s:
            return False
        if url.auth_type == "AWS_IAM":  # same account: of the caller's policies and the function's, one will do
            address = url.url.rstrip("/") + request.target
            arn = f"arn:aws:lambda:{self._state.region}:{self._state.account}:function:{function}:{url.qualifier}"
            needs = [Need(f"lambda:{action}", arn) for action in ("InvokeFunctionUrl", "InvokeFunction")]
            signed = signature.is_valid(request.method, address, request.headers, request.body, "lambda", self._keys())
            return signed and self._permits(needs) is None
        # Since October 2025 a public URL needs both actions: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
        context = {"lambda:FunctionUrlAuthType": "NONE", "lambda:InvokedViaFunctionUrl": "true"}
        actions = ("lambda:InvokeFunctionUrl", "lambda:InvokeFunction")
        return all(allows(statements, action, principal="*", context=context) for action in actions)


def _refusal(error: AwsError) -> Reply:
    if error.status == 429:
        return Reply.json(429, Reason=error.members.get("Reason"), Type="User", message=error.message)
    return Reply.json(413, Message=error.message) if error.status == 413 else FAILED
