"""A first request while nobody waits: what Python and FastAPI do only once is behind them when a real one comes."""

import os
from types import SimpleNamespace

from mangum import Mangum

from app.logs import access_log

{% if cookiecutter.cold_starts == 'snapstart' %}
AHEAD_OF_REQUESTS = "snap-start"  # what is done now is in the snapshot
{% else %}
AHEAD_OF_REQUESTS = "provisioned-concurrency"  # any other environment starts while its first request waits
{% endif %}
# A payload 2.0 event with no more than the adapter reads.
GET_HEALTH = {
    "version": "2.0",
    "rawPath": "/health",
    "rawQueryString": "",
    "headers": {"host": "warm-up.internal"},
    "requestContext": {"http": {"method": "GET", "path": "/health", "sourceIp": "127.0.0.1"}},
    "isBase64Encoded": False,
}


def warm_up(handler: Mangum) -> None:
    """Sends the handler GET /health, unlogged, where Lambda starts the environment ahead of requests."""
    if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == AHEAD_OF_REQUESTS:
        access_log.disabled = True
        try:
            handler(GET_HEALTH, SimpleNamespace(aws_request_id="warm-up"))
        finally:
            access_log.disabled = False
