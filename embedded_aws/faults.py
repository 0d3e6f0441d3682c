"""What goes wrong on purpose: refused, throttled and failing calls, broken connections, and hooks around any call."""

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
    """Raised to break the client's connection without an answer. A hook may raise it too."""


@dataclass(eq=False)
class Fault:
    """Hits the `first` to `first + times - 1`-th of the calls that match since it was set; `times` None never ends."""

    pattern: str
    kind: Kind
    first: int = 1
    times: int | None = 1
    caller: str = DEPLOYER
    seen: int = 0
    hits: int = 0

    def applies(self, call: Call) -> bool:
        actions = call.actions if self.kind == "deny" else [call.action]
        if not fnmatchcase(call.caller, self.caller) or not any(fnmatchcase(a, self.pattern) for a in actions):
            return False
        self.seen += 1
        hit = self.seen >= self.first and (self.times is None or self.seen < self.first + self.times)
        self.hits += hit
        return hit


class Faults:
    """The faults and hooks that are set now."""

    def __init__(self) -> None:
        self.hooks: list[Hook] = []
        self._faults: list[Fault] = []
        self._count = 0
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> Fault:
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def before(self, call: Call) -> tuple[int, Fault | None]:
        """The call's number among all the deployer's calls, counted from 1, and the fault that hits it."""
        with self._lock:
            if call.caller == DEPLOYER:
                self._count += 1
            number = self._count
            hit = next((fault for fault in self._faults if fault.applies(call)), None)
        self._run(call, number, "before")
        return number, hit

    def after(self, call: Call, number: int) -> None:
        self._run(call, number, "after")

    def _run(self, call: Call, number: int, when: Literal["before", "after"]) -> None:
        for hook in list(self.hooks) if call.caller == DEPLOYER else []:
            hook(call, number, when)


def error_of(fault: Fault, call: Call, who: str, resource: str) -> AwsError | None:
    """The error that AWS would answer, None when the fault is not an answer."""
    if fault.kind == "deny":
        action = next((a for a in call.actions if fnmatchcase(a, fault.pattern)), call.action)
        return denied(
            call, who, action, str(call.params.get("Role", resource)) if action == "iam:PassRole" else resource
        )
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


def denied(call: Call, who: str, action: str, resource: str) -> AwsError:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html"""
    message = (
        f"User: {who} is not authorized to perform: {action} on resource: {resource} "
        f"because no identity-based policy allows the {action} action"
    )
    xml = call.protocol in ("query", "rest-xml", "ec2")
    json_rpc = call.protocol == "json"
    return AwsError("AccessDenied" if xml else "AccessDeniedException", message, 400 if json_rpc else 403)


def answer(error: AwsError, call: Call, request_id: str) -> Response:
    """The error in the shape of the call's protocol."""
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
