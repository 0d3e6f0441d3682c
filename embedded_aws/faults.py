"""Fault injection: denied, throttled and failing calls, reset connections, and hooks around calls."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal
from xml.sax.saxutils import escape

from werkzeug import Response

from embedded_aws.calls import DEPLOYER, Call
from embedded_aws.errors import AwsError

Kind = Literal["deny", "throttle", "server_error", "reset_before", "reset_after"]
Hook = Callable[[Call, int, Literal["before", "after"]], None]


class ConnectionReset(ConnectionResetError):
    """Raised to reset the client's connection before it receives a response. Hooks may raise it too."""


@dataclass(eq=False)
class Fault:
    """A fault that affects the calls whose action matches `pattern`, such as "lambda:Create*".

    Matching calls are counted from 1, starting when the fault is added. The fault affects `times` of them, beginning
    with the call number `first`. `times` None means no limit.
    """

    pattern: str
    kind: Kind
    first: int = 1
    times: int | None = 1
    caller: str = DEPLOYER
    seen: int = 0
    hits: int = 0

    def applies(self, call: Call) -> bool:
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

    def before(self, call: Call) -> tuple[int, Fault | None]:
        """Run the hooks before a call.

        Return its number among the calls of the deployer, from 1, and the fault that affects it.
        """
        with self._lock:
            if call.caller == DEPLOYER:
                self._count += 1
            number = self._count
            affecting = next((fault for fault in self._faults if fault.applies(call)), None)
        self._run(call, number, "before")
        return number, affecting

    def after(self, call: Call, number: int) -> None:
        """Run the hooks after a call."""
        self._run(call, number, "after")

    def _run(self, call: Call, number: int, when: Literal["before", "after"]) -> None:
        for hook in list(self.hooks) if call.caller == DEPLOYER else []:
            hook(call, number, when)


def error_of(fault: Fault, call: Call, principal: str, resource: str) -> AwsError | None:
    """Return the error that AWS would respond with, or None if the fault resets the connection."""
    if fault.kind == "deny":
        action = next((a for a in call.actions if fnmatchcase(a, fault.pattern)), call.action)
        if action == "iam:PassRole":
            resource = str(call.params.get("Role", resource))
        return denied(call, principal, action, resource)
    if fault.kind == "throttle":
        if call.service == "lambda":
            return AwsError("TooManyRequestsException", "Rate exceeded", 429, Reason="CallerRateLimitExceeded")
        code = "Throttling" if call.protocol in ("query", "rest-xml", "ec2") else "ThrottlingException"
        return AwsError(code, "Rate exceeded", 400)
    if fault.kind == "server_error":
        if call.service == "lambda":
            return AwsError("ServiceException", "An error occurred and the request cannot be processed.", 500)
        return AwsError("InternalFailure", "The request processing has failed because of an unknown error.", 500)
    return None


def denied(call: Call, principal: str, action: str, resource: str) -> AwsError:
    """Return the error of a call that IAM does not allow.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
    """
    message = (
        f"User: {principal} is not authorized to perform: {action} on resource: {resource} "
        f"because no identity-based policy allows the {action} action"
    )
    xml = call.protocol in ("query", "rest-xml", "ec2")
    json_rpc = call.protocol == "json"
    return AwsError("AccessDenied" if xml else "AccessDeniedException", message, 400 if json_rpc else 403)


def respond(error: AwsError, call: Call, request_id: str) -> Response:
    """Return an error in the format of the call's protocol."""
    headers = {"x-amzn-RequestId": request_id}
    if call.protocol in ("query", "rest-xml", "ec2"):
        kind = "Sender" if error.status < 500 else "Receiver"
        body = (
            f"<ErrorResponse><Error><Type>{kind}</Type><Code>{error.code}</Code>"
            f"<Message>{escape(error.message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
        )
        return Response(body, error.status, headers, content_type="text/xml")
    headers["x-amzn-ErrorType"] = error.code
    key = "Message" if call.protocol == "rest-json" else "message"
    members = {"Type": "User" if error.status < 500 else "Service"} if call.service == "lambda" else {}
    body = json.dumps({"__type": error.code, **members, **error.members, key: error.message})
    kind = "application/json" if call.protocol == "rest-json" else "application/x-amz-json-1.1"
    return Response(body, error.status, headers, content_type=kind)
