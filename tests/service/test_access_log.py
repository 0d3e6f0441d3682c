"""Test that access log records are JSON on Lambda and contain no query parameters."""

import json

from tests.support.bake import Bake

# Configure logging as awslambdaric does, and send two requests to the handler.
SEND_REQUESTS = """
import logging, sys
from awslambdaric.bootstrap import LambdaLoggerFilter
from awslambdaric.lambda_runtime_log_utils import JsonFormatter

handler = logging.StreamHandler(sys.stdout)
handler.terminator = ""
handler.setFormatter(JsonFormatter())
handler.addFilter(LambdaLoggerFilter())
logging.basicConfig(level=logging.INFO, handlers=[handler])

import httpx
from aws_lambda.handler import handler
from tests.lambda_transport import LambdaTransport

logging.getLogger("httpx").disabled = True
client = httpx.Client(transport=LambdaTransport(handler), base_url="https://test")
client.get("/health?token=s3cr3t")
client.get("/unknown/%C3%BC%22%0A")
"""


def test_records_contain_all_fields_but_no_query(bake: Bake) -> None:
    output = bake().run(["python", "-c", SEND_REQUESTS]).stdout
    first, second = map(json.loads, output.splitlines())
    for record in (first, second):
        assert record.pop("timestamp")
        assert record.pop("duration_ms") > 0
    assert first == {
        "level": "INFO",
        "logger": "aws_lambda.access",
        "message": "GET /health",
        "requestId": "",
        "method": "GET",
        "route": "/health",
        "status": 200,
        "cold_start": True,
    }
    assert second["message"] == 'GET /unknown/ü"\n'
    assert (second["status"], second["cold_start"], "route" in second) == (404, False, False)
    assert "s3cr3t" not in output
