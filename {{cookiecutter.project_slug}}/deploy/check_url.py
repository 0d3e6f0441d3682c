"""Calls the public URL as a client would."""

import contextlib
import statistics
import time
from dataclasses import dataclass

from botocore.awsrequest import AWSRequest
from botocore.exceptions import HTTPClientError
from botocore.httpsession import URLLib3Session

from deploy.aws import Aws
from deploy.config import Service
from deploy.problem import Problem

WARM_CALLS = 5
{% if cookiecutter.endpoint == 'function_url' %}
NEW_URL_S = 60  # a new URL or permission answers 403 until it is known everywhere
{% else %}
NEW_URL_S = 60  # a new API or permission is answered for by API Gateway itself until it is known everywhere
UNKNOWN_YET = ('{"message":"Not Found"}', '{"message":"Internal Server Error"}')
{% endif %}


@dataclass(frozen=True)
class Answer:
    body: str
    warm_ms: float


{% if cookiecutter.endpoint == 'function_url' %}
def check_url(service: Service, aws: Aws, url: str) -> Answer:
{% else %}
def check_url(service: Service, aws: Aws, url: str, *, is_new: bool) -> Answer:
{% endif %}
    """The answer to GET `check_path` and the median time of warm calls; raises Problem unless it is a 2xx or 3xx."""
    session = URLLib3Session(timeout=service.timeout_s + 5)
    target = url.rstrip("/") + service.check_path

    def get() -> tuple[int, str]:
        request = AWSRequest("GET", target)
{% if cookiecutter.endpoint == 'function_url' %}
        if service.auth == "iam":
            aws.sign(request, "lambda")
{% endif %}
        try:
            response = session.send(request.prepare())
        except HTTPClientError as error:
            return 0, str(error)
        return response.status_code, response.content.decode(errors="replace")

    status, body = get()

    def answered() -> bool:
        nonlocal status, body
{% if cookiecutter.endpoint == 'function_url' %}
        if status in (0, 403):
            status, body = get()
        return status not in (0, 403)

    with contextlib.suppress(Problem):  # told below, with the answer
        aws.wait(f"making {target} known", answered, timeout_s=NEW_URL_S)
{% else %}
        if status == 0 or body in UNKNOWN_YET:
            status, body = get()
        return status != 0 and body not in UNKNOWN_YET

    with contextlib.suppress(Problem):  # told below, with the answer
        aws.wait(f"making {target} known", answered, timeout_s=NEW_URL_S if is_new else 0)
{% endif %}
    if not 200 <= status < 400:
        raise Problem(
            f"{target} answered {status}: {body[:300]}" if status else f"{target} does not answer: {body[:300]}",
            "See ./deploy.sh logs --errors",
        )
    times_ms = []
    for _ in range(WARM_CALLS):
        started = time.perf_counter()
        get()
        times_ms.append((time.perf_counter() - started) * 1000)
    return Answer(body, statistics.median(times_ms))
