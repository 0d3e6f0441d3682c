"""Test the recipe that sends the data of FastAPI's OpenTelemetry instrumentation to a collector."""

import gzip
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from embedded_aws.http_server import LoopbackServer
from scripts.projects import Answers, combination_name
from tests.support.bake import Bake
from tests.support.recipes import DEFAULT, LARGEST, copy_generated_files, deployed, follow, read_recipes

RECIPE = "Trace requests with OpenTelemetry"
FLUSH_TIMEOUT_S = 12  # so that a busy machine sends everything in time


class Collector:
    """A server that accepts OTLP over HTTP. `paths` and `span_names` are those that it has received."""

    def __init__(self) -> None:
        self.paths: set[str] = set()
        self.span_names: list[str] = []
        self.responds = threading.Event()
        self.responds.set()
        self.server = LoopbackServer(partial(RequestHandler, self))
        self.server.listen()

    def receive(self, path: str, body: bytes) -> None:
        self.responds.wait(30)
        self.paths.add(path)
        if path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    self.span_names += [span.name for span in scope.spans]


class RequestHandler(BaseHTTPRequestHandler):
    """Pass the body of each request to the collector."""

    def __init__(self, collector: Collector, *args: Any) -> None:
        self.collector = collector
        super().__init__(*args)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        is_compressed = self.headers.get("Content-Encoding") == "gzip"
        self.collector.receive(self.path, gzip.decompress(body) if is_compressed else body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.responds.set()
    collector.server.close()


@pytest.mark.parametrize("answers", [DEFAULT, LARGEST], ids=combination_name)
def test_the_collector_has_the_data_before_the_client_has_the_response(
    bake: Bake, tmp_path: Path, collector: Collector, answers: Answers
) -> None:
    project = copy_generated_files(bake(**answers), tmp_path / "my-api")
    follow(project, read_recipes(project)[RECIPE])
    project.edit("aws_lambda/telemetry.py", "FLUSH_TIMEOUT_S = 0.5", f"FLUSH_TIMEOUT_S = {FLUSH_TIMEOUT_S}")
    settings = project.path / "deploy.toml"
    text = settings.read_text("utf-8").replace("https://collector.example.com", f"http://{collector.server.address}")
    settings.write_text(text, "utf-8")
    with deployed(project) as service:
        collector.span_names.clear()
        assert service.request("health")[0] == 200
        assert "GET /health" in collector.span_names
        assert service.request("predict", b"{}")[0] == 422
        assert "POST /predict" in collector.span_names
        assert collector.paths == {"/v1/traces", "/v1/metrics", "/v1/logs"}
        collector.responds.clear()
        assert [service.request("health")[0] for _ in range(3)] == [200] * 3
        collector.responds.set()
