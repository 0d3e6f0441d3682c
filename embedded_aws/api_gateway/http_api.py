"""Serve the HTTP APIs of API Gateway over HTTP, each on its own port, with AWS's limits, errors, metrics and logs."""

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

from embedded_aws.cloudwatch.metrics import ServiceMetrics
from embedded_aws.errors import AwsError
from embedded_aws.faults import Faults
from embedded_aws.http_server import LoopbackServer
from embedded_aws.iam.policy import allows
from embedded_aws.lambda_.data_plane import DataPlane, InvocationResult
from embedded_aws.lambda_.http_events import (
    HttpRequest,
    HttpResponse,
    MalformedResponse,
    build_event,
    parse_response,
    request_handler,
)
from embedded_aws.lambda_.state import LambdaState
from embedded_aws.moto_state import moto_lock

# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
MAX_HEADERS_BYTES = 10_240  # request line and header values
MAX_BODY_BYTES = 10 * 1024 * 1024
STAGE = ROUTE = "$default"
FUNCTION_ARN = re.compile(r"arn:aws:lambda:[^:]+:\d+:function:([^:/]+)(?::([^:/]+))?(?:/invocations)?$")


class HttpApis:
    """The ports of all HTTP APIs. moto stores the APIs themselves."""

    def __init__(
        self,
        account: str,
        lambda_state: Callable[[str], LambdaState],
        plane: DataPlane,
        metrics: ServiceMetrics,
        faults: Faults,
    ) -> None:
        self._account = account
        self._lambda_state = lambda_state
        self._plane = plane
        self._metrics = metrics
        self._faults = faults
        self._servers: dict[str, LoopbackServer] = {}
        self._known_at: dict[str, float] = {}  # the time from which API Gateway knows the routes of an API
        self._buckets: dict[str, TokenBucket] = {}

    def open(self, region: str, api_id: str) -> str:
        """Start serving an API. Return its endpoint, which refuses connections for `Delays.connect_s`."""
        server = LoopbackServer(request_handler(lambda request: self._serve(region, api_id, request), self._faults))
        self._servers[api_id] = server
        clock, delays = self._lambda_state(region).clock, self._lambda_state(region).delays
        clock.call_later(delays.connect_s, server.listen)
        self._known_at[api_id] = clock.time() + delays.connect_s + delays.url_s
        return f"http://{server.address}"

    def close(self, api_id: str = "") -> None:
        """Stop serving one API, or all of them."""
        for closed_id in [api_id] if api_id else list(self._servers):
            if server := self._servers.pop(closed_id, None):
                server.close()

    def _serve(self, region: str, api_id: str, request: HttpRequest) -> HttpResponse:
        """Return the response, publish the metrics and write the access log."""
        started_at = time.monotonic()
        request_id = str(uuid.uuid4())
        response, log_values = self._respond(region, api_id, request, request_id)
        latency_ms = (time.monotonic() - started_at) * 1000
        values = {
            "Count": 1.0,
            "4xx": float(response.status // 100 == 4),
            "5xx": float(response.status // 100 == 5),
            "Latency": latency_ms,
        }
        dimensions = (("ApiId", api_id),), (("ApiId", api_id), ("Stage", STAGE))
        self._metrics.add(region, "AWS/ApiGateway", dimensions, values)
        log_values = {"requestId": request_id, "responseLatency": f"{latency_ms:.0f}", **log_values}
        self._write_access_log(region, api_id, request, response, log_values)
        return HttpResponse(response.status, response.body, [*response.headers, ("Apigw-Requestid", request_id)])

    def _respond(
        self, region: str, api_id: str, request: HttpRequest, request_id: str
    ) -> tuple[HttpResponse, dict[str, str]]:
        """Return the response, and additional values for the access log."""
        backend, state = apigatewayv2_backends[self._account][region], self._lambda_state(region)
        target = find_target(backend, api_id, request)
        if target is None:
            return _error(403, "Forbidden")
        api_id, stage = target
        headers_bytes = len(request.target) + sum(map(len, [*request.headers.values(), *request.cookies]))
        if headers_bytes > MAX_HEADERS_BYTES:
            return _error(431, "Request Header Fields Too Large")
        if len(request.body) > MAX_BODY_BYTES:
            return _error(413, "Request Entity Too Large")
        integration = _find_integration(backend.apis[api_id])
        if stage is None or integration is None or state.clock.time() < self._known_at[api_id]:
            return _error(404, "Not Found")
        if not self._bucket(api_id, stage).take(state.clock.time()):
            return _error(429, "Too Many Requests")
        match = FUNCTION_ARN.search(integration.integration_uri)
        if match is None:
            return _integration_error("Invalid integration")
        name, qualifier = match[1], match[2] or ""
        source_arn = f"arn:aws:execute-api:{region}:{self._account}:{api_id}/{stage.name}/{ROUTE}"
        if not _is_permitted(state, name, qualifier, source_arn):
            return _integration_error(
                "The IAM role configured on the integration or API Gateway doesn't have permissions to call the "
                "integration."
            )
        payload = json.dumps(self._build_event(request, api_id, stage.name, request_id)).encode()
        return self._invoke(state, name, qualifier, payload, request.trace_id)

    def _build_event(self, request: HttpRequest, api_id: str, stage: str, request_id: str) -> dict[str, Any]:
        """Return the event of a function URL, but with the path decoded and cut at an encoded "?".

        The name of a stage stays in the path. Captures from AWS: https://github.com/hotsock/voker/pull/8,
        https://github.com/logandk/serverless-wsgi/issues/191
        """
        event = build_event(request, self._account, request_id)
        path = unquote(event["rawPath"]).partition("?")[0]
        event["rawPath"] = event["requestContext"]["http"]["path"] = path
        event["requestContext"] |= {"accountId": self._account, "apiId": api_id, "stage": stage}
        return event

    def _invoke(
        self, state: LambdaState, name: str, qualifier: str, payload: bytes, trace_id: str
    ) -> tuple[HttpResponse, dict[str, str]]:
        """Invoke the function and wait for at most 30 s. After that, the function continues without a caller."""
        future: Future[InvocationResult] = Future()

        def invoke() -> None:
            try:
                future.set_result(self._plane.invoke(state, name, qualifier, payload, trace_id=trace_id))
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=invoke, daemon=True).start()
        try:
            result = future.result(timeout=state.delays.integration_timeout_s)
        except TimeoutError:
            return _integration_error("Endpoint request timed out", 503)
        except AwsError as error:
            return _integration_error(error.message, 503 if error.status == 429 else 500)
        if result.outcome.status != "success":
            return _integration_error("The Lambda function returned the following error: Unhandled.")
        try:
            return parse_response(result.outcome.payload), {}
        except MalformedResponse:
            return _integration_error("Malformed Lambda proxy response")

    def _bucket(self, api_id: str, stage: Stage) -> "TokenBucket":
        """Return the bucket of the API. Start with a new one when the stage's throttling settings change."""
        settings = stage.default_route_settings
        rate, burst = settings.get("throttlingRateLimit", 10_000), settings.get("throttlingBurstLimit", 5_000)
        bucket = self._buckets.get(api_id)
        if bucket is None or (bucket.rate, bucket.burst) != (rate, burst):
            bucket = self._buckets[api_id] = TokenBucket(rate, burst)
        return bucket

    def _write_access_log(
        self, region: str, api_id: str, request: HttpRequest, response: HttpResponse, values: dict[str, str]
    ) -> None:
        """Write a line in the stage's format to the stage's log group."""
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
                "responseLength": str(len(response.body)),
                "routeKey": ROUTE,
                "stage": STAGE,
                "status": str(response.status),
                **values,
            }
            line = re.sub(r"\$context\.([\w.]+)", lambda match: values.get(match[1], "-"), settings["format"])
            if api_id not in groups[group].streams:
                groups[group].create_log_stream(api_id)
            now_ms = int(self._lambda_state(region).clock.time() * 1000)
            groups[group].put_log_events(api_id, [{"timestamp": now_ms, "message": line}])


class TokenBucket:
    """A token bucket that holds `burst` tokens and gains `rate` tokens per second."""

    def __init__(self, rate: float, burst: float) -> None:
        self.rate, self.burst = rate, burst
        self._tokens, self._at_s = float(burst), 0.0
        self._lock = threading.Lock()

    def take(self, now_s: float) -> bool:
        """Take a token. Return False if there is none."""
        with self._lock:
            self._tokens = min(float(self.burst), self._tokens + (now_s - self._at_s) * self.rate)
            self._at_s = now_s
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True


def find_target(backend: ApiGatewayV2Backend, api_id: str, request: HttpRequest) -> tuple[str, Stage | None] | None:
    """Return the ID of the API and the stage for a request. A custom domain is reachable on every API's port."""
    domain = request.headers.get("host", "").partition(":")[0].lower()
    mapping = next((m for m in backend.api_mappings.values() if m.domain_name == domain), None)
    if mapping:
        api = backend.apis.get(mapping.api_id)
        return (mapping.api_id, api.stages.get(mapping.stage)) if api else None
    api = backend.apis.get(api_id)
    if api is None or domain not in ("127.0.0.1", "localhost"):
        return None
    first_segment = request.target.partition("?")[0].split("/")[1]  # the name of any stage except $default
    return api_id, api.stages.get(first_segment) or api.stages.get(STAGE)


def _find_integration(api: Api) -> Integration | None:
    route = next((route for route in api.routes.values() if route.route_key == ROUTE), None)
    return api.integrations.get(str(route.target).removeprefix("integrations/")) if route else None


def _is_permitted(state: LambdaState, name: str, qualifier: str, source_arn: str) -> bool:
    """Return True if the function's policy allows API Gateway to invoke it for this API and route."""
    with state.lock:
        function = state.functions.get(name)
        policy = function.policies.get(qualifier) if function else None
        statements = list(policy.statements) if policy else []
    context = {"AWS:SourceArn": source_arn, "AWS:SourceAccount": state.account}
    return allows(statements, "lambda:InvokeFunction", principal="apigateway.amazonaws.com", context=context)


def _error(status: int, message: str) -> tuple[HttpResponse, dict[str, str]]:
    return HttpResponse.json(status, message=message), {}


def _integration_error(log_message: str, status: int = 500) -> tuple[HttpResponse, dict[str, str]]:
    """Return an error that hides its reason from the client and writes it to the access log."""
    message = "Service Unavailable" if status == 503 else "Internal Server Error"
    return HttpResponse.json(status, message=message), {"integrationErrorMessage": log_message}
