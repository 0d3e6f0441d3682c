"""A request to AWS without boto3, which would take half as long again to import as the whole service."""

import hmac
import json
import os
import ssl
import time
from collections.abc import Mapping
from functools import cache, reduce
from hashlib import sha256
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_S = 2  # to connect, and for each read; INIT has 10 s in all
RETRY_AFTER_S = 0.5
{% if cookiecutter.cold_starts == 'snapstart' %}
TOKEN = "AWS_CONTAINER_AUTHORIZATION_TOKEN"  # noqa: S105 - the name of the variable
{% endif %}


class AwsError(Exception):
    """AWS did not answer or refused; the message says which."""


def call(service: str, target: str, request: Mapping[str, object]) -> Any:
{% if cookiecutter.secrets == 'ssm' %}
    """The answer of AWS to one call of a JSON API such as `AmazonSSM.GetParameters`; raises AwsError."""
{% else %}
    """The answer of AWS to one call of a JSON API such as `secretsmanager.GetSecretValue`; raises AwsError."""
{% endif %}
    body = json.dumps(request).encode()
    try:
        return _post(service, target, body)
    except AwsError:  # a lost connection, or throttled because many environments start at once
        time.sleep(RETRY_AFTER_S)
        return _post(service, target, body)


def _post(service: str, target: str, body: bytes) -> Any:
    region = os.environ["AWS_REGION"]
    endpoint = urlsplit(
        os.environ.get(f"AWS_ENDPOINT_URL_{service.upper()}")
        or os.environ.get("AWS_ENDPOINT_URL")
        or f"https://{service}.{region}.amazonaws.com"
    )
    headers = {
        "content-type": "application/x-amz-json-1.1",
        "host": endpoint.netloc,
        "x-amz-date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()),
        "x-amz-target": target,
    }
    access_key, secret_key, token = credentials()
    if token:
        headers["x-amz-security-token"] = token
    headers["authorization"] = authorization(service, region, headers, body, access_key, secret_key)
    if endpoint.scheme == "https":
        connection: HTTPConnection = HTTPSConnection(endpoint.netloc, timeout=TIMEOUT_S, context=_tls())
    else:
        connection = HTTPConnection(endpoint.netloc, timeout=TIMEOUT_S)
    try:
        connection.request("POST", "/", body, headers)
        response = connection.getresponse()
        answer = json.loads(response.read())
    except (OSError, HTTPException, ValueError) as error:
{% if cookiecutter.migrations == 'alembic' %}
        reach = f"a function in a VPC reaches it through a NAT gateway or an interface endpoint for {service}"
        raise AwsError(f"{target}: no answer from {endpoint.netloc} ({error}); {reach}") from None
{% else %}
        raise AwsError(f"{target}: no answer from {endpoint.netloc} ({error})") from None
{% endif %}
    finally:
        connection.close()
    if response.status != 200:
        reason = answer.get("message") or answer.get("Message")
        raise AwsError(f"{target}: {answer.get('__type')}: {reason}")
    return answer


def credentials() -> tuple[str, str, str | None]:
    """Access key, secret key and, on Lambda, session token of the function's role."""
{% if cookiecutter.cold_starts == 'snapstart' %}
    if uri := os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI"):  # keys in a snapshot would expire there
        endpoint = urlsplit(uri)
        connection = HTTPConnection(endpoint.netloc, timeout=TIMEOUT_S)
        try:
            connection.request("GET", endpoint.path, headers={"Authorization": os.environ[TOKEN]})
            keys = json.loads(connection.getresponse().read())
            return keys["AccessKeyId"], keys["SecretAccessKey"], keys["Token"]
        except (OSError, HTTPException, ValueError, TypeError, KeyError) as error:
            raise AwsError(f"no credentials from {endpoint.netloc} ({type(error).__name__})") from None
        finally:
            connection.close()
{% endif %}
    return os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], os.environ.get("AWS_SESSION_TOKEN")


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()  # reads every certificate of the system, so once


def authorization(
    service: str, region: str, headers: Mapping[str, str], body: bytes, access_key: str, secret_key: str
) -> str:
    """The header that signs a POST of `body` to `/` with these headers, names in lower case (Signature Version 4)."""
    signed = ";".join(sorted(headers))
    lines = [f"{name}:{headers[name]}" for name in sorted(headers)]
    request = "\n".join(["POST", "/", "", *lines, "", signed, sha256(body).hexdigest()])
    date = headers["x-amz-date"]
    scope = [date[:8], region, service, "aws4_request"]
    text = "\n".join(["AWS4-HMAC-SHA256", date, "/".join(scope), sha256(request.encode()).hexdigest()])
    signature = reduce(
        lambda key, part: hmac.digest(key, part.encode(), "sha256"), [*scope, text], f"AWS4{secret_key}".encode()
    )
    credential = "/".join([access_key, *scope])
    return f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={signed}, Signature={signature.hex()}"
