"""The check of the public URL after a release."""

from __future__ import annotations

import contextlib
import statistics
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from botocore.awsrequest import AWSRequest
from botocore.exceptions import ConnectionError, HTTPClientError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from deploy.errors import DeployError, rejected_host_advice
from deploy.resource import Endpoint

WARM_REQUESTS = 5
NO_RESPONSE = 0  # in place of a status
PROPAGATION_S = 60  # AWS takes some seconds until a new URL, permission or name is known everywhere


@dataclass(frozen=True)
class UrlCheck:
    """The body of the response, and the median duration of warm requests."""

    body: str
    warm_ms: float


def check_url(endpoint: Endpoint, url: str, *, is_new: bool) -> UrlCheck:
    """Request `check_path` at the public URL, as a client would.

    Repeat a request that gets no response, and while a URL `is_new`, wait until it is known everywhere. Raise DeployError
    unless the status is 2xx or 3xx.
    """
    stage = endpoint.stage
    target = url.rstrip("/") + stage.config.check_path
    # The proxy and the certificates that boto3 uses, too: HTTPS_PROXY, NO_PROXY, AWS_CA_BUNDLE or ca_bundle.
    session = URLLib3Session(
        verify=stage.session.ca_bundle or True, proxies=get_environ_proxies(target), timeout=stage.config.timeout_s + 5
    )

    def get() -> tuple[int, str]:
        request = AWSRequest("GET", target)
        endpoint.sign(request)
        try:
            response = session.send(request.prepare())
        except (ConnectionError, HTTPClientError) as error:  # such as a name that does not resolve yet
            return NO_RESPONSE, str(error)
        length = len(response.content)
        if length < int(response.headers.get("Content-Length") or 0):
            return NO_RESPONSE, f"the connection was closed after {length} bytes"
        return response.status_code, response.content.decode(errors="replace")

    status, body = 0, ""

    def has_answered() -> bool:
        nonlocal status, body
        status, body = get()
        return status != NO_RESPONSE and not (is_new and endpoint.is_propagating(status, body))

    with contextlib.suppress(DeployError):  # the error below contains the response
        stage.wait_until(has_answered, f"{target} did not answer", timeout_s=PROPAGATION_S)
    if not 200 <= status < 400:
        problem = "does not answer" if status == NO_RESPONSE else f"returned status {status}"
        raise DeployError(f"{target} {problem}: {body[:300]}", _find_hint(endpoint, target, status, body))
    durations_ms = []
    for _ in range(WARM_REQUESTS):
        started = time.perf_counter()
        get()
        durations_ms.append((time.perf_counter() - started) * 1000)
    return UrlCheck(body, statistics.median(durations_ms))


def _find_hint(endpoint: Endpoint, target: str, status: int, body: str) -> str:
    """Return what to do about a response that fails the check."""
    if advice := rejected_host_advice(body, urlsplit(target).hostname):
        return advice
    if 400 <= status < 500 and not endpoint.is_propagating(status, body):
        return "If this response is correct, set check_path in deploy.toml to a path with a status below 400."
    return "See ./deploy.sh logs --errors"
