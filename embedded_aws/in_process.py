"""Send botocore's requests to the embedded AWS in the same process, without a network connection."""

import io
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ConnectionClosedError
from urllib3 import HTTPResponse
from werkzeug import Response
from werkzeug.test import EnvironBuilder

from embedded_aws.faults import ConnectionReset

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def send(application: "WSGIApplication", request: AWSPreparedRequest) -> AWSResponse:
    """Return the response to a request. Raise botocore's ConnectionClosedError if a fault resets the connection."""
    url = urlsplit(request.url)
    body: Any = request.body
    environ = EnvironBuilder(
        url.path,
        query_string=url.query,
        method=request.method,
        headers=[(name, _decode(value)) for name, value in request.headers.items()],
        data=body,
    ).get_environ()
    try:
        response = Response.from_app(application, environ, buffered=True)
    except ConnectionReset as error:
        raise ConnectionClosedError(error=error, request=request, endpoint_url=request.url) from error
    headers: Any = response.headers
    raw = HTTPResponse(io.BytesIO(response.get_data()), preload_content=False)
    return AWSResponse(request.url, response.status_code, headers, raw)


def _decode(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
