"""Verify AWS Signature Version 4 with botocore's own implementation."""

import hmac
import re
from collections.abc import Mapping

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

PARTS = re.compile(
    r"Credential=([^/,]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request,\s*SignedHeaders=([^,]+),\s*Signature=([0-9a-f]{64})"
)


def is_valid(
    method: str, url: str, headers: Mapping[str, str], body: bytes, service: str, secrets: Mapping[str, str]
) -> bool:
    """Return True if the Authorization header is a valid signature of this request.

    `secrets` holds the secret access keys by access key ID.
    """
    match = PARTS.search(headers.get("authorization", ""))
    if match is None:
        return False
    access_key, day, region, signed_for, header_names, signature = match.groups()
    timestamp = headers.get("x-amz-date", "")
    if not timestamp.startswith(day) or signed_for != service or access_key not in secrets:
        return False
    signed_headers = {name: headers[name] for name in header_names.split(";") if name in headers}
    request = AWSRequest(method=method, url=url, headers=signed_headers, data=body)
    request.context["timestamp"] = timestamp
    auth = SigV4Auth(Credentials(access_key, secrets[access_key]), service, region)
    expected = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    return hmac.compare_digest(expected, signature)
