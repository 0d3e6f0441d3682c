"""API Gateway HTTP APIs over real HTTP: one port for each, with the limits, refusals, metrics and logs of AWS's."""

import json
import re
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from moto.apigatewayv2.models import Api, ApiGatewayV2Backend, Integration, Stage, apigatewayv2_backends
from moto.logs.models import logs_backends

from embedded_aws.cloudwatch.metrics import LambdaMetrics
from embedded_aws.errors import AwsError
from embedded_aws.http_server import LoopbackServer, stop
from embedded_aws.iam.policy import allows
from embedded_aws.lambda_.data_plane import DataPlane, Result
from embedded_aws.lambda_.http_events import MalformedAnswer, Reply, Request, event, handler, response
from embedded_aws.lambda_.state import LambdaState
from embedded_aws.moto_state import moto_lock

# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
MAX_HEAD_BYTES = 10_240  # request line and header values
MAX_BODY_BYTES = 10 * 1024 * 1024
STAGE = ROUTE = "$default"
FUNCTION = re.compile(r"arn:aws:lambda:[^:]+:\d+:function:([^:/]+)(?::([^:/]+))?(?:/invocations)?$")


class HttpApis:
    """The ports of all HTTP APIs. What an API is, moto knows."""

    def __init__(
        self,
        account: str,
        lambda_state: Callable[[str], LambdaState],
        plane: DataPlane,
        metrics: LambdaMetrics,
    ) -> None:
        self._account = account
        self._lambda_state = lambda_state
        self._plane = plane
        self._metrics = metrics
        self._servers: dict[str, LoopbackServer] = {}
        self._buckets: dict[str, TokenBucket] = {}

    def open(self, region: str, api_id: str) -> str:
        """Starts to serve an API. Returns its endpoint."""
        server = LoopbackServer(handler(lambda request: self._serve(region, api_id, request)))
        self._servers[api_id] = server
        return f"http://{server.address}"

    def close(self, api_id: str = "") -> None:
        """Stops serving one API, or all."""
        for held in [api_id] if api_id else list(self._servers):
            if server := self._servers.pop(held, None):
                stop(server)

    def _serve(self, region: str, api_id: str, request: Request) -> Reply:
        begun = time.monotonic()
        request_id = str(uuid.uuid4())
        reply, problem = self._reply(region, api_id, request, request_id)
        latency_ms = (time.monotonic() - begun) * 1000
        counts = {
            "Count": 1.0,
            "4xx": float(reply.status // 100 == 4),
            "5xx": float(reply.status // 100 == 5),
            "Latency": latency_ms,
        }
        dimensions = (("ApiId", api_id),), (("ApiId", api_id), ("Stage", STAGE))
        self._metrics.count(region, "AWS/ApiGateway", dimensions, counts)
        self._log(
            region, api_id, request, reply, {"requestId": request_id, "responseLatency": f"{latency_ms:.0f}"} | problem
        )
        return Reply(reply.status, reply.body, [*reply.headers, ("Apigw-Requestid", request_id)])

    def _reply(self, region: str, api_id: str, request: Request, request_id: str) -> tuple[Reply, dict[str, str]]:
        """The answer, and what of it only the access log tells."""
        backend, state = apigatewayv2_backends[self._account][region], self._lambda_state(region)
        target = target_of(backend, api_id, request)
        if target is None:
            return _refused(403, "Forbidden")
        api_id, stage = target
        head = len(request.target) + sum(map(len, [*request.headers.values(), *request.cookies]))
        if head > MAX_HEAD_BYTES:
            return _refused(431, "Request Header Fields Too Large")
        if len(request.body) > MAX_BODY_BYTES:
            return _refused(413, "Request Entity Too Large")
        integration = _integration(backend.apis[api_id])
        if stage is None or integration is None:
            return _refused(404, "Not Found")
        if not self._bucket(api_id, stage).takes(state.clock.time()):
            return _refused(429, "Too Many Requests")
        found = FUNCTION.search(integration.integration_uri)
        if found is None:
            return _failed("Invalid integration")
        name, qualifier = found[1], found[2] or ""
        source = f"arn:aws:execute-api:{region}:{self._account}:{api_id}/{stage.name}/{ROUTE}"
        if not _permitted(state, name, qualifier, source):
            because = "The IAM role configured on the integration or API Gateway doesn't have permissions to call the "
            return _failed(f"{because}integration.")
        payload = json.dumps(self._event(request, api_id, stage.name, request_id)).encode()
        return self._invoked(state, name, qualifier, payload, request.trace_id)

    def _event(self, request: Request, api_id: str, stage: str, request_id: str) -> dict[str, Any]:
        """As a function URL's, but with the path decoded, and cut at a "?" that was encoded in it.

        The name of a stage stays in the path. Captures from AWS: https://github.com/hotsock/voker/pull/8,
        https://github.com/logandk/serverless-wsgi/issues/191
        """
        made = event(request, self._account, request_id)
        path = unquote(made["rawPath"]).partition("?")[0]
        made["rawPath"] = made["requestContext"]["http"]["path"] = path
        made["requestContext"] |= {"accountId": self._account, "apiId": api_id, "stage": stage}
        return made

    def _invoked(
        self, state: LambdaState, name: str, qualifier: str, payload: bytes, trace_id: str
    ) -> tuple[Reply, dict[str, str]]:
        """API Gateway waits 30 s at most; the function goes on and nobody hears of it."""
        future: Future[Result] = Future()

        def invoke() -> None:
            try:
                future.set_result(self._plane.invoke(state, name, qualifier, payload, trace_id=trace_id))
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=invoke, daemon=True).start()
        try:
            result = future.result(timeout=state.delays.integration_timeout_s)
        except TimeoutError:
            return _failed("Endpoint request timed out", 503)
        except AwsError as error:
            return _failed(error.message, 503 if error.status == 429 else 500)
        if result.outcome.status != "success":
            return _failed("The Lambda function returned the following error: Unhandled.")
        try:
            return response(result.outcome.payload), {}
        except MalformedAnswer:
            return _failed("Malformed Lambda proxy response")

    def _bucket(self, api_id: str, stage: Stage) -> "TokenBucket":
        settings = stage.default_route_settings
        rate, burst = settings.get("throttlingRateLimit", 10_000), settings.get("throttlingBurstLimit", 5_000)
        bucket = self._buckets.get(api_id)
        if bucket is None or (bucket.rate, bucket.burst) != (rate, burst):
            bucket = self._buckets[api_id] = TokenBucket(rate, burst)
        return bucket

    def _log(self, region: str, api_id: str, request: Request, reply: Reply, more: dict[str, str]) -> None:
        """One line into the log group that the stage names, in the stage's own format."""
        with moto_lock:
            api = apigatewayv2_backends[self._account][region].apis.get(api_id)
            settings = api.stages[STAGE].access_log_settings if api and STAGE in api.stages else None
            group = str((settings or {}).get("destinationArn")).partition(":log-group:")[2]
            groups = logs_backends[self._account][region].groups
            if not settings or group not in groups:
                return
            values = {
                "apiId": api_id,
                "httpMethod": request.method,
                "identity.sourceIp": request.source_ip,
                "path": request.target.partition("?")[0],
                "protocol": request.protocol,
                "requestTime": datetime.now(UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
                "responseLength": str(len(reply.body)),
                "routeKey": ROUTE,
                "stage": STAGE,
                "status": str(reply.status),
                **more,
            }
            line = re.sub(r"\$context\.([\w.]+)", lambda found: values.get(found[1], "-"), settings["format"])
            if api_id not in groups[group].streams:
                groups[group].create_log_stream(api_id)
            now_ms = int(self._lambda_state(region).clock.time() * 1000)
            groups[group].put_log_events(api_id, [{"timestamp": now_ms, "message": line}])


class TokenBucket:
    """`burst` requests at once, refilled by `rate` a second."""

    def __init__(self, rate: float, burst: float) -> None:
        self.rate, self.burst = rate, burst
        self._tokens, self._at_s = float(burst), 0.0
        self._lock = threading.Lock()

    def takes(self, now_s: float) -> bool:
        with self._lock:
            self._tokens = min(float(self.burst), self._tokens + (now_s - self._at_s) * self.rate)
            self._at_s = now_s
            taken = self._tokens >= 1
            self._tokens -= taken
            return taken


def target_of(backend: ApiGatewayV2Backend, api_id: str, request: Request) -> tuple[str, Stage | None] | None:
    """The API and stage that a request gets. A custom domain is reachable on every API's port."""
    domain = request.headers.get("host", "").partition(":")[0].lower()
    mapping = next((m for m in backend.api_mappings.values() if m.domain_name == domain), None)
    if mapping:
        api = backend.apis.get(mapping.api_id)
        return (mapping.api_id, api.stages.get(mapping.stage)) if api else None
    api = backend.apis.get(api_id)
    if api is None or domain not in ("127.0.0.1", "localhost"):
        return None
    first = request.target.partition("?")[0].split("/")[1]  # any stage but $default is a part of the path
    return api_id, api.stages.get(first) or api.stages.get(STAGE)


def _integration(api: Api) -> Integration | None:
    route = next((route for route in api.routes.values() if route.route_key == ROUTE), None)
    return api.integrations.get(str(route.target).removeprefix("integrations/")) if route else None


def _permitted(state: LambdaState, name: str, qualifier: str, source_arn: str) -> bool:
    with state.lock:
        function = state.functions.get(name)
        policy = function.policies.get(qualifier) if function else None
        statements = list(policy.statements) if policy else []
    who, context = "apigateway.amazonaws.com", {"AWS:SourceArn": source_arn, "AWS:SourceAccount": state.account}
    return allows(statements, "lambda:InvokeFunction", principal=who, context=context)


def _refused(status: int, message: str) -> tuple[Reply, dict[str, str]]:
    return Reply.json(status, message=message), {}


def _failed(because: str, status: int = 500) -> tuple[Reply, dict[str, str]]:
    message = "Service Unavailable" if status == 503 else "Internal Server Error"
    return Reply.json(status, message=message), {"integrationErrorMessage": because}
