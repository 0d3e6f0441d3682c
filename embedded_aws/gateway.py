"""The HTTP endpoint of all services: identify the call, record it, inject faults, authorize it and dispatch it."""

import io
import json
import uuid
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from moto.core.request import Request
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug import Response

from embedded_aws import calls, faults
from embedded_aws.boto_session import partition_of
from embedded_aws.calls import DEPLOYER, Call
from embedded_aws.ecr.folder_push import PUSH_PATH, FolderPush
from embedded_aws.errors import AwsError
from embedded_aws.faults import Fault, Faults
from embedded_aws.http_server import reset_connection
from embedded_aws.iam.authorization import Need
from embedded_aws.iam.deployer import Deployer
from embedded_aws.iam.policy import NO_RESOURCE
from embedded_aws.iam.roles import Roles
from embedded_aws.lambda_.data_plane import CREDENTIALS_PATH, DataPlane
from embedded_aws.lambda_.service import LambdaService
from embedded_aws.moto_corrections.all_services import MotoCorrections
from embedded_aws.moto_state import moto_lock


class Gateway:
    """A WSGI application that responds to calls of all AWS services.

    `calls` contains all calls in the order of their arrival.
    """

    def __init__(
        self,
        account: str,
        roles: Roles,
        deployer: Deployer,
        corrections: MotoCorrections,
        wait_for_messages: Callable[[Call], None],
        lambda_service: LambdaService,
        data_plane: DataPlane,
        folder_push: FolderPush,
        injected: Faults,
    ) -> None:
        self.calls: list[Call] = []
        self._faults = injected
        self._account = account
        self._roles = roles
        self._deployer = deployer
        self._corrections = corrections
        self._wait_for_messages = wait_for_messages
        self._lambda = lambda_service
        self._data_plane = data_plane
        self._folder_push = folder_push

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Respond to a request, or reset its connection if a fault demands it."""
        if environ["PATH_INFO"] == CREDENTIALS_PATH:
            credentials = self._data_plane.credentials(environ.get("HTTP_AUTHORIZATION", ""))
            return Response(json.dumps(credentials), 200 if credentials else 403)(environ, start_response)
        if environ["PATH_INFO"] == PUSH_PATH:
            return self._folder_push(environ, start_response)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        request = Request(environ)
        call = calls.identify(request, body)
        if call.caller == DEPLOYER and (role := self._data_plane.role_of(calls.access_key(request))):
            call.caller = role
        environ["wsgi.input"] = io.BytesIO(body)  # moto reads the body again
        self.calls.append(call)
        try:
            response = self._respond(call, environ)
        except faults.ConnectionReset:
            if connection := environ.get("werkzeug.socket"):  # there is none within a process
                reset_connection(connection)
            raise
        return response(environ, start_response)

    def _respond(self, call: Call, environ: dict[str, Any]) -> Response:
        """Return the response to a call, with its faults and hooks. Raise ConnectionReset if a fault demands it."""
        request_id = str(uuid.uuid4())
        try:
            number, fault = self._faults.before(call)
        except AwsError as error:  # raised by a hook
            return _error_response(error, call, request_id)
        if fault and not fault.runs_call:
            return self._refuse(call, fault, request_id)
        try:
            _check_partition(call)
            self._authorize(call)
            response = self._dispatch(call, environ)
            if call.service == "lambda":
                response.headers["x-amzn-RequestId"] = request_id
                self._hide_tags(call, response)
        except AwsError as error:
            response = _error_response(error, call, request_id)
        call.status = response.status_code
        if number is not None:
            self._faults.after(call, number)
        return faults.change_response(fault, response) if fault else response

    def _refuse(self, call: Call, fault: Fault, request_id: str) -> Response:
        """Return the response to a call that is not carried out. Raise ConnectionReset if there is none."""
        resource = calls.resources(call, self._account)[0]
        error = faults.error_of(fault, call, self._principal(call), resource)
        if error is None:
            return faults.change_response(fault, Response())
        return _error_response(error, call, request_id)

    def _dispatch(self, call: Call, environ: dict[str, Any]) -> Response:
        """Return the response of Lambda, or of moto with its corrections."""
        if call.service == "lambda":
            if call.model is None:
                raise AwsError("UnknownOperationException", "Unknown operation", 404)
            return self._lambda.api(call.region).respond(call.model, call.params)
        if (call.service, call.operation) == ("sqs", "ReceiveMessage"):
            self._wait_for_messages(call)
        with moto_lock:
            edit_response = self._corrections.before(call)
            response = Response.from_app(_MOTO, environ, buffered=True)
            if edit_response and response.status_code < 300:
                edit_response(response)
            return response

    def _authorize(self, call: Call) -> None:
        """Raise AccessDenied if the role of the function, or the role that the deployer acts as, does not allow it."""
        if call.caller == DEPLOYER:
            if self._deployer.acts_as_role and call.operation:
                denied = self._deployer.first_denied(self._deployer.authorization.needs(call))
                if denied:
                    raise faults.denied(call, self._principal(call), denied.action, denied.resource)
        elif call.caller:
            for resource in calls.resources(call, self._account):
                is_known = resource != NO_RESOURCE or (call.service, call.operation) in calls.CALLS_WITHOUT_RESOURCE
                if not self._roles.allow(call.caller, call.action, resource if is_known else None):
                    raise faults.denied(call, self._principal(call), call.action, resource)

    def _hide_tags(self, call: Call, response: Response) -> None:
        """Remove the tags from GetFunction's response if the caller has no permission for lambda:ListTags.

        https://docs.aws.amazon.com/lambda/latest/api/API_GetFunction.html
        """
        if not self._deployer.acts_as_role or (call.caller, call.operation) != (DEPLOYER, "GetFunction"):
            return
        function = calls.resources(call, self._account)[0]
        if response.status_code == 200 and self._deployer.first_denied([Need("lambda:ListTags", function)]):
            members: Any = response.get_json(force=True)
            members.pop("Tags", None)
            response.set_data(json.dumps(members))

    def _principal(self, call: Call) -> str:
        """Return the ARN of the caller, as error messages state it."""
        if call.caller == DEPLOYER:
            return self._deployer.arn
        return f"arn:aws:sts::{self._account}:assumed-role/{call.caller.rpartition('/')[2]}/function"


def _error_response(error: AwsError, call: Call, request_id: str) -> Response:
    response = faults.respond(error, call, request_id)
    call.status = response.status_code
    return response


def _check_partition(call: Call) -> None:
    """Refuse the credentials of this account in a Region of another partition, such as GovCloud.

    https://docs.aws.amazon.com/govcloud-us/latest/UserGuide/govcloud-differences.html
    """
    if partition_of(call.region) != "aws":
        code = "InvalidClientTokenId" if call.protocol in ("query", "ec2") else "UnrecognizedClientException"
        raise AwsError(code, "The security token included in the request is invalid.", 403)


class _MotoApplication(DomainDispatcherApplication):
    """moto's services. moto searches all of them for the service of each request; this caches the result."""

    get_backend_for_host = cache(DomainDispatcherApplication.get_backend_for_host)


# Shared by the whole process, because creating the routes of a service takes a while. It contains no state of AWS.
_MOTO = _MotoApplication(create_backend_app)
