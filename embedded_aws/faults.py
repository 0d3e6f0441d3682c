"""Fault injection: denied, throttled and failing calls, lost and changed responses, and hooks around calls."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal
from xml.sax.saxutils import escape

from werkzeug import Response

from embedded_aws.calls import CLIENT, DEPLOYER, Call
from embedded_aws.errors import AwsError

# "before" means that AWS never receives the request, "after" that it has carried it out.
Kind = Literal[
    # Errors of AWS. The call is not carried out. Not for requests to public URLs.
    "deny",
    "throttle",
    "server_error",
    "expired",  # the credentials have expired
    # The connection ends without a response: a TCP reset, an orderly close, or bytes that are not HTTP.
    "reset_before",
    "reset_after",
    "closed",  # only for requests to public URLs
    "not_http",  # only for requests to public URLs
    # Something between client and AWS sends its own response: a page in HTML, or status 200 and an empty body.
    "page_200_before",
    "page_200_after",
    "page_403_before",
    "page_404_before",
    "page_500_before",
    "page_502_after",
    "page_503_before",
    "empty_before",
    "empty_after",
    # The response contains only half of the body; its Content-Length is that of the whole body, or of the half.
    "truncated",
    "cut_off",  # not for requests to public URLs
]
CALLS_ONLY = ("deny", "throttle", "server_error", "expired", "cut_off")
REQUESTS_ONLY = ("closed", "not_http")
RUN_CALL = ("reset_after", "page_200_after", "page_502_after", "empty_after", "truncated", "cut_off")
PAGE_STATUS: dict[Kind, int] = {
    "page_200_before": 200,
    "page_200_after": 200,
    "page_403_before": 403,
    "page_404_before": 404,
    "page_500_before": 500,
    "page_502_after": 502,
    "page_503_before": 503,
    "empty_before": 200,
    "empty_after": 200,
}
PAGE = b"<!DOCTYPE html>\n<html><head><title>Web Gateway</title></head><body><p>Sign in to continue.</body></html>\n"
TLS_ALERT = b"\x15\x03\x01\x00\x02\x02\x46"  # "protocol version", what a TLS server sends to other clients
# The codes of SQS's query protocol that differ from the names of the exceptions, from AWS's service model.
SQS_QUERY_CODES = {
    "BatchEntryIdsNotDistinct": "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
    "QueueDeletedRecently": "AWS.SimpleQueueService.QueueDeletedRecently",
    "QueueDoesNotExist": "AWS.SimpleQueueService.NonExistentQueue",
    "QueueNameExists": "QueueAlreadyExists",
    "TooManyEntriesInBatchRequest": "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
    "UnsupportedOperation": "AWS.SimpleQueueService.UnsupportedOperation",
}
Hook = Callable[[Call, int, Literal["before", "after"]], None]


class ConnectionReset(ConnectionResetError):
    """Raised to reset the client's connection before it receives a response. Hooks may raise it too."""


@dataclass(eq=False)
class Fault:
    """A fault that affects the calls whose action matches `pattern`, such as "lambda:Create*".

    Matching calls are counted from 1, starting when the fault is added. The fault affects `times` of them, beginning
    with the call number `first`. `times` None means no limit. `caller` is DEPLOYER, the ARN of a role, POLLER for the
    calls of event source mappings, or CLIENT for requests to public URLs. Raise ValueError if `kind` does not exist for
    this caller.
    """

    pattern: str
    kind: Kind
    first: int = 1
    times: int | None = 1
    caller: str = DEPLOYER
    seen: int = 0
    hits: int = 0

    def __post_init__(self) -> None:
        if self.kind in (CALLS_ONLY if self.caller == CLIENT else REQUESTS_ONLY):
            raise ValueError(f"{self.kind} is not a fault of a {'request' if self.caller == CLIENT else 'call'}")

    @property
    def runs_call(self) -> bool:
        """True if the call is carried out, and only its response is lost or changed."""
        return self.kind in RUN_CALL

    def count_and_check(self, call: Call) -> bool:
        """Count the call if it matches. Return True if the fault affects it."""
        actions = call.actions if self.kind == "deny" else [call.action]
        if not fnmatchcase(call.caller, self.caller) or not any(fnmatchcase(a, self.pattern) for a in actions):
            return False
        self.seen += 1
        is_affected = self.seen >= self.first and (self.times is None or self.seen < self.first + self.times)
        self.hits += is_affected
        return is_affected


class Faults:
    """The current faults and hooks."""

    def __init__(self) -> None:
        self.hooks: list[Hook] = []
        self._faults: list[Fault] = []
        self._count = 0
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> Fault:
        """Add a fault and return it."""
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Remove all faults. Hooks stay."""
        with self._lock:
            self._faults.clear()

    def before(self, call: Call) -> tuple[int | None, Fault | None]:
        """Count the call for its faults, and run the hooks if it is one of the deployer.

        Return its number among these calls, from 1, or None for another caller, and the fault that affects it.
        """
        affecting = self.affecting(call)
        if call.caller != DEPLOYER:
            return None, affecting
        with self._lock:
            self._count += 1
            number = self._count
        self._run(call, number, "before")
        return number, affecting

    def affecting(self, call: Call) -> Fault | None:
        """Count the call for each fault that it matches. Return the first one that affects it."""
        with self._lock:
            affecting = [fault for fault in self._faults if fault.count_and_check(call)]
        return affecting[0] if affecting else None

    def after(self, call: Call, number: int) -> None:
        """Run the hooks after a call of the deployer."""
        self._run(call, number, "after")

    def _run(self, call: Call, number: int, when: Literal["before", "after"]) -> None:
        for hook in list(self.hooks):
            hook(call, number, when)


def error_of(fault: Fault, call: Call, principal: str, resource: str) -> AwsError | None:
    """Return the error that AWS would respond with, or None if the fault is not an error of AWS."""
    if fault.kind == "deny":
        action = next((a for a in call.actions if fnmatchcase(a, fault.pattern)), call.action)
        if action == "iam:PassRole":
            resource = call.passed_role or resource
        return denied(call, principal, action, resource)
    if fault.kind == "throttle":
        if call.service == "lambda":
            return AwsError("TooManyRequestsException", "Rate exceeded", 429, Reason="CallerRateLimitExceeded")
        if call.service == "sqs":
            return AwsError("RequestThrottled", "Rate exceeded", 403)
        code = "Throttling" if call.uses_xml else "ThrottlingException"
        return AwsError(code, "Rate exceeded", 400)
    if fault.kind == "server_error":
        if call.service == "lambda":
            return AwsError("ServiceException", "An error occurred and the request cannot be processed.", 500)
        return AwsError("InternalFailure", "The request processing has failed because of an unknown error.", 500)
    if fault.kind == "expired":
        code = "ExpiredToken" if call.uses_xml else "ExpiredTokenException"
        status = 400 if call.protocol == "json" else 403
        return AwsError(code, "The security token included in the request is expired", status)
    return None


def change_response(fault: Fault, response: Response) -> Response:
    """Return what the client receives instead of AWS's response. Raise ConnectionReset if it receives nothing."""
    if fault.kind in PAGE_STATUS:
        body = b"" if fault.kind.startswith("empty") else PAGE
        return Response(body, PAGE_STATUS[fault.kind], content_type="text/html")
    if fault.kind in ("truncated", "cut_off"):
        body = response.get_data()
        response.set_data(body[: len(body) // 2])
        if fault.kind == "truncated":
            response.headers["Content-Length"] = str(len(body))
        return response
    raise ConnectionReset


def denied(call: Call, principal: str, action: str, resource: str) -> AwsError:
    """Return the error of a call that IAM does not allow.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
    """
    action = action.lower() if call.service == "sqs" else action  # aws/serverless-application-model#3633
    message = (
        f"User: {principal} is not authorized to perform: {action} on resource: {resource} "
        f"because no identity-based policy allows the {action} action"
    )
    if call.service == "sqs":
        return AwsError("AccessDenied", message, 403)
    json_rpc = call.protocol == "json"
    return AwsError("AccessDenied" if call.uses_xml else "AccessDeniedException", message, 400 if json_rpc else 403)


def respond(error: AwsError, call: Call, request_id: str) -> Response:
    """Return an error in the format of the call's protocol."""
    headers = {"x-amzn-RequestId": request_id}
    fault_type = "Sender" if error.status < 500 else "Receiver"
    if call.service == "sqs" and not call.uses_xml:
        # https://smithy.io/2.0/aws/protocols/aws-query-protocol.html#awsquerycompatible-trait
        headers["x-amzn-query-error"] = f"{SQS_QUERY_CODES.get(error.code, error.code)};{fault_type}"
        body = json.dumps({"__type": f"com.amazonaws.sqs#{error.code}", "message": error.message})
        return Response(body, error.status, headers, content_type="application/x-amz-json-1.0")
    if call.uses_xml:
        body = (
            f"<ErrorResponse><Error><Type>{fault_type}</Type><Code>{error.code}</Code>"
            f"<Message>{escape(error.message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
        )
        return Response(body, error.status, headers, content_type="text/xml")
    headers["x-amzn-ErrorType"] = error.code
    key = "Message" if call.protocol == "rest-json" else "message"
    members = {"Type": "User" if error.status < 500 else "Service"} if call.service == "lambda" else {}
    body = json.dumps({"__type": error.code, **members, **error.members, key: error.message})
    content_type = "application/json" if call.protocol == "rest-json" else "application/x-amz-json-1.1"
    return Response(body, error.status, headers, content_type=content_type)
