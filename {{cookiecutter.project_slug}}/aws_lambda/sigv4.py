"""Call an AWS API without boto3, whose import would make INIT about 60% longer."""

import hmac
import json
import os
import ssl
import time
from collections.abc import Callable, Mapping
from functools import cache, reduce
from hashlib import sha256
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_S = 2  # to connect, and for each read; INIT may take 10 s in total
RETRY_DELAY_S = 0.5
JSON_VERSIONS = {"sqs": "1.0"}  # of the JSON protocol; the other services use 1.1
THROTTLING = ("Throttl", "TooManyRequests", "RequestLimitExceeded", "SlowDown")  # parts of error codes


class AwsError(Exception):
    """AWS did not respond or rejected the request."""


class TransientAwsError(AwsError):
    """A request failed that may succeed when it is repeated."""


def call_aws(
    service: str, target: str, parameters: Mapping[str, object], *, sleep: Callable[[float], object] = time.sleep
) -> Any:
    """Call an API with the JSON protocol and return its response. Repeat the call once after a transient error.

    The target is the value of the X-Amz-Target header, such as "DynamoDB_20120810.GetItem". Raise AwsError on failure.
    """
    body = json.dumps(parameters).encode()
    try:
        return _post(service, target, body)
    except TransientAwsError:  # a lost connection, or throttling because many environments start together
        sleep(RETRY_DELAY_S)
        return _post(service, target, body)


def _post(service: str, target: str, body: bytes) -> Any:
    region = os.environ["AWS_REGION"]
    endpoint = urlsplit(
        os.environ.get(f"AWS_ENDPOINT_URL_{service.upper()}")
        or os.environ.get("AWS_ENDPOINT_URL")
        or f"https://{service}.{region}.amazonaws.com"
    )
    headers = {
        "content-type": f"application/x-amz-json-{JSON_VERSIONS.get(service, '1.1')}",
        "host": endpoint.netloc,
        "x-amz-date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()),
        "x-amz-target": target,
    }
    access_key, secret_key, token = credentials()
    if token:
        headers["x-amz-security-token"] = token
    headers["authorization"] = authorization(service, region, headers, body, access_key, secret_key)
    if endpoint.scheme == "https":
        connection: HTTPConnection = HTTPSConnection(endpoint.netloc, timeout=TIMEOUT_S, context=tls_context())
    else:
        connection = HTTPConnection(endpoint.netloc, timeout=TIMEOUT_S)
    try:
        connection.request("POST", "/", body, headers)
        response = connection.getresponse()
        content = response.read()
    except (OSError, HTTPException) as error:
        raise TransientAwsError(
            f"{target}: no response from {endpoint.netloc} ({error}). "
            f"A function in a VPC needs a NAT gateway or an interface endpoint for {service}"
        ) from None
    finally:
        connection.close()
    if response.status >= 500:
        raise TransientAwsError(f"{target}: {endpoint.netloc} responded with status {response.status}")
    try:
        result = json.loads(content)
    except ValueError:
        raise AwsError(f"{target}: the response of {endpoint.netloc} is not valid JSON") from None
    if response.status != 200:
        code = str(result.get("__type"))
        is_transient = response.status == 429 or any(part in code for part in THROTTLING)
        message = f"{target}: {code}: {result.get('message') or result.get('Message')}"
        raise TransientAwsError(message) if is_transient else AwsError(message)
    return result


def credentials() -> tuple[str, str, str | None]:
    """Return the access key, the secret key and the session token of the function's role."""
{% if cookiecutter.cold_starts == 'snapstart' %}
    if uri := os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        from aws_lambda.container_credentials import fetch_credentials

        return fetch_credentials(uri)
{% endif %}
    return os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], os.environ.get("AWS_SESSION_TOKEN")


@cache
def tls_context() -> ssl.SSLContext:
    """Return the default context. Its creation takes about 30 ms, because it reads all certificates of the system."""
    return ssl.create_default_context()


def authorization(
    service: str, region: str, headers: Mapping[str, str], body: bytes, access_key: str, secret_key: str
) -> str:
    """Return the Authorization header of a POST request to `/`. The names of the headers must be in lower case.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """
    signed_headers = ";".join(sorted(headers))
    header_lines = [f"{name}:{headers[name]}" for name in sorted(headers)]
    request = "\n".join(["POST", "/", "", *header_lines, "", signed_headers, sha256(body).hexdigest()])
    date = headers["x-amz-date"]
    scope = [date[:8], region, service, "aws4_request"]
    string_to_sign = "\n".join(["AWS4-HMAC-SHA256", date, "/".join(scope), sha256(request.encode()).hexdigest()])
    signature = reduce(
        lambda key, part: hmac.digest(key, part.encode(), "sha256"),
        [*scope, string_to_sign],
        f"AWS4{secret_key}".encode(),
    )
    credential = "/".join([access_key, *scope])
    return f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={signed_headers}, Signature={signature.hex()}"
