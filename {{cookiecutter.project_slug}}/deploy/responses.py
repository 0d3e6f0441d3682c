"""Responses that AWS did not send, or that did not arrive completely.

botocore returns them as if they had no members, so that a resource would seem to be missing.
"""

from __future__ import annotations

import json
from typing import Any

from botocore.model import OperationModel
from botocore.parsers import ResponseParserError

QUOTED_CHARACTERS = 100


def check_response(**event: Any) -> None:
    """Raise ResponseParserError unless the response is one of AWS. botocore calls this before it parses a response."""
    operation_model: OperationModel = event["operation_model"]
    response_dict: dict[str, Any] = event["response_dict"]
    status, body = response_dict["status_code"], response_dict["body"]
    if status >= 500 or not isinstance(body, bytes):  # botocore repeats the call, or the caller reads the body
        return
    is_json = "json" in operation_model.service_model.resolved_protocol
    if not (_is_complete(operation_model, response_dict) and _is_parsable(body, is_json=is_json)):
        text = body[:QUOTED_CHARACTERS].decode(errors="replace") or "it is empty"
        raise ResponseParserError(f"{operation_model.name} received status {status}: {text}")


def _is_complete(operation_model: OperationModel, response_dict: dict[str, Any]) -> bool:
    headers, body = response_dict["headers"], response_dict["body"]
    if body or response_dict["status_code"] == 204:
        return len(body) >= int(headers.get("Content-Length") or 0)
    shape = operation_model.output_shape
    members = shape.members.values() if shape else []
    in_body = [member for member in members if "location" not in member.serialization]
    return not in_body and any("amz" in name.lower() for name in headers)  # such as x-amzn-RequestId


def _is_parsable(body: bytes, *, is_json: bool) -> bool:
    if not is_json:  # botocore itself rejects what is not XML
        return not body.lstrip()[:9].lower().startswith((b"<html", b"<!doctype"))
    try:
        return not body or isinstance(json.loads(body), dict)
    except ValueError:
        return False
