"""Was this request signed with these credentials? Recomputed by botocore itself."""

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
    """True when the Authorization header is a SigV4 signature of this request by a known access key."""
    found = PARTS.search(headers.get("authorization", ""))
    date = headers.get("x-amz-date", "")
    if not found or not date.startswith(found[2]) or found[4] != service or found[1] not in secrets:
        return False
    signed = {name: headers[name] for name in found[5].split(";") if name in headers}
    request = AWSRequest(method=method, url=url, headers=signed, data=body)
    request.context["timestamp"] = date
    auth = SigV4Auth(Credentials(found[1], secrets[found[1]]), service, found[3])
    expected = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    return hmac.compare_digest(expected, found[6])
