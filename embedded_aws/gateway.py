"""The one endpoint of every service: identifies the call, records it, lets faults hit it, and passes it on."""

import io
import json
import os
import socket
import struct
import uuid
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

from moto.core.request import Request
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug import Response

from embedded_aws import calls, faults
from embedded_aws.calls import DEPLOYER, Call
from embedded_aws.cloudwatch.logs import moto_lock
from embedded_aws.errors import AwsError
from embedded_aws.iam.authorization import Authorization, Need
from embedded_aws.iam.roles import Roles
from embedded_aws.lambda_.api import LambdaApi
from embedded_aws.lambda_.data_plane import CREDENTIALS_PATH
from embedded_aws.moto_corrections.corrections import Corrections

DEPLOYER_ARN = "arn:aws:sts::{account}:user/moto"  # what moto's GetCallerIdentity answers


class Gateway:
    """A WSGI application."""

    def __init__(
        self,
        account: str,
        roles: Roles,
        corrections: Corrections,
        lambda_api: Callable[[str], LambdaApi],
        role_of: Callable[[str], str | None],
        credentials_of: Callable[[str], dict[str, str] | None],
    ) -> None:
        self.calls: list[Call] = []
        self.faults = faults.Faults()
        self.keys: Mapping[str, str] = {}
        self.acting_as: str | None = None  # the role whose policies the deployer's calls are judged by
        self.needed: list[Need] = []  # all that was asked of it
        self.authorization = Authorization(account)
        self._account = account
        self._roles = roles
        self._corrections = corrections
        self._lambda_api = lambda_api
        self._role_of = role_of
        self._credentials_of = credentials_of
        self._moto = _moto()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == CREDENTIALS_PATH:
            found = self._credentials_of(environ.get("HTTP_AUTHORIZATION", ""))
            return Response(json.dumps(found), 200 if found else 403)(environ, start_response)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        request = Request(environ)
        call = calls.identify(request, body)
        if call.caller == DEPLOYER and (role := self._role_of(calls.access_key(request))):
            call.caller = role
        environ["wsgi.input"] = io.BytesIO(body)
        self.calls.append(call)
        try:
            response = self._answer(call, environ)
        except faults.ConnectionReset:
            _reset(environ)
            raise
        return response(environ, start_response)

    def _answer(self, call: Call, environ: dict[str, Any]) -> Response:
        request_id = str(uuid.uuid4())
        number, fault = 0, None
        try:
            number, fault = self.faults.before(call)
            if fault:
                if fault.kind == "reset_before":
                    raise faults.ConnectionReset
                error = faults.error_of(fault, call, self._who(call), calls.resources(call, self._account)[0])
                if error:
                    raise error
            self._check_role(call)
            response = self._passed_on(call, environ)
            if call.service == "lambda":
                response.headers["x-amzn-RequestId"] = request_id
                self._withhold_tags(call, response)
        except AwsError as error:
            response = faults.answer(error, call, request_id)
            number, fault = 0 if fault else number, None
        call.status = response.status_code
        if number:
            self.faults.after(call, number)
        if fault and fault.kind == "reset_after":
            raise faults.ConnectionReset
        return response

    def _passed_on(self, call: Call, environ: dict[str, Any]) -> Response:
        if call.service == "lambda":
            if call.model is None:
                raise AwsError("UnknownOperationException", "Unknown operation", 404)
            return self._lambda_api(call.region).answer(call.model, call.params)
        with moto_lock:
            afterwards = self._corrections.before(call)
            response = Response.from_app(self._moto, environ, buffered=True)
            if afterwards and response.status_code < 300:
                afterwards(response)
            if (call.service, call.operation) == ("iam", "CreateRole") and response.status_code == 200:
                self._roles.record_creation(call.params["RoleName"])
            return response

    def permits(self, needs: Iterable[Need]) -> Need | None:
        """The first of these that the deployer is not allowed; who acts as no role may do everything."""
        return next((need for need in needs if not self._permitted(need)), None)

    def _permitted(self, need: Need) -> bool:
        if self.acting_as is None:
            return True
        self.needed.append(need)
        return self._roles.allow(self.acting_as, need.action, need.resource, need.context)

    def _withhold_tags(self, call: Call, response: Response) -> None:
        """Lambda tells tags to those only who may list them
        (docs.aws.amazon.com/lambda/latest/api/API_GetFunction.html)."""
        if self.acting_as is None or (call.caller, call.operation) != (DEPLOYER, "GetFunction"):
            return
        function = calls.resources(call, self._account)[0]
        if response.status_code == 200 and self.permits([Need("lambda:ListTags", function)]):
            answer: Any = response.get_json(force=True)
            answer.pop("Tags", None)
            response.set_data(json.dumps(answer))

    def _check_role(self, call: Call) -> None:
        """A function may do what its role allows; the deployer everything, unless it acts as a role."""
        judged = call.caller == DEPLOYER and self.acting_as and call.operation
        if judged and (refused := self.permits(self.authorization.needs(call))):
            raise faults.denied(call, self._who(call), refused.action, refused.resource)
        if call.caller in (DEPLOYER, ""):
            return
        for resource in calls.resources(call, self._account):
            if not self._roles.allow(call.caller, call.action, resource):
                raise faults.denied(call, self._who(call), call.action, resource)

    def _who(self, call: Call) -> str:
        if call.caller == DEPLOYER and self.acting_as:
            return f"arn:aws:sts::{self._account}:assumed-role/{self.acting_as.rpartition('/')[2]}/GitHubActions"
        if call.caller == DEPLOYER:
            return DEPLOYER_ARN.format(account=self._account)
        return f"arn:aws:sts::{self._account}:assumed-role/{call.caller.rpartition('/')[2]}/function"


class _Moto(DomainDispatcherApplication):
    """moto's services behind one URL. It looks through its folders for every request, and always finds the same."""

    get_backend_for_host = cache(DomainDispatcherApplication.get_backend_for_host)


_moto = cache(lambda: _Moto(create_backend_app))  # holds the URLs of each service, and no state of AWS


def _reset(environ: dict[str, Any]) -> None:
    """Closes the connection, if there is one, with a TCP reset."""
    connection: socket.socket | None = environ.get("werkzeug.socket")
    if connection is None:
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(connection.detach())
