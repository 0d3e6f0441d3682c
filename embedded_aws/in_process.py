"""botocore's way to the embedded AWS without a network, for a client in the same process."""

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


def answer(front: "WSGIApplication", request: AWSPreparedRequest) -> AWSResponse:
    """What AWS answers. Raises what botocore's own way there raises when the connection breaks."""
    url = urlsplit(request.url)
    sent: Any = request.body
    environ = EnvironBuilder(
        url.path,
        query_string=url.query,
        method=request.method,
        headers=[(name, _text(value)) for name, value in request.headers.items()],
        data=sent,
    ).get_environ()
    try:
        response = Response.from_app(front, environ, buffered=True)
    except ConnectionReset as error:
        raise ConnectionClosedError(error=error, request=request, endpoint_url=request.url) from error
    headers: Any = response.headers
    body = HTTPResponse(io.BytesIO(response.get_data()), preload_content=False)
    return AWSResponse(request.url, response.status_code, headers, body)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
