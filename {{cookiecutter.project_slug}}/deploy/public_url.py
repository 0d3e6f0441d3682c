"""The check of the public URL after a release."""

from __future__ import annotations

import contextlib
import statistics
import time
from dataclasses import dataclass

from botocore.awsrequest import AWSRequest
from botocore.exceptions import ConnectionError, HTTPClientError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from deploy.errors import DeployError
from deploy.resource import Endpoint

WARM_REQUESTS = 5
PROPAGATION_S = 60  # AWS takes some seconds until a new URL or permission is known everywhere


@dataclass(frozen=True)
class UrlCheck:
    """The body of the response, and the median duration of warm requests."""

    body: str
    warm_ms: float


def check_url(endpoint: Endpoint, url: str, *, is_new: bool) -> UrlCheck:
    """Request `check_path` at the public URL, as a client would.

    While a URL `is_new`, wait until it is known everywhere. Raise DeployError unless the status is 2xx or 3xx.
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
            return 0, str(error)
        return response.status_code, response.content.decode(errors="replace")

    status, body = 0, ""

    def is_known() -> bool:
        nonlocal status, body
        status, body = get()
        return status != 0 and not endpoint.is_propagating(status, body)

    with contextlib.suppress(DeployError):  # the error below contains the response
        stage.wait_until(is_known, f"{target} did not answer", timeout_s=PROPAGATION_S if is_new else 0)
    if not 200 <= status < 400:
        problem = f"returned status {status}" if status else "does not answer"
        raise DeployError(f"{target} {problem}: {body[:300]}", "See ./deploy.sh logs --errors")
    durations_ms = []
    for _ in range(WARM_REQUESTS):
        started = time.perf_counter()
        get()
        durations_ms.append((time.perf_counter() - started) * 1000)
    return UrlCheck(body, statistics.median(durations_ms))
