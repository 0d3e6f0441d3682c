"""Lambda's control plane for one Region: which method answers an operation of AWS's service model?"""

from collections.abc import Callable, Iterable
from typing import Any

from botocore import xform_name
from moto.core.model import OperationModel
from moto.core.serialize import RestJSONSerializer
from werkzeug import Response

from embedded_aws import model_validation
from embedded_aws.errors import AwsError
from embedded_aws.lambda_.state import LambdaState

Params = dict[str, Any]
UNLOCKED = {"invoke", "put_provisioned_concurrency_config"}  # run for as long as the handler or INIT does


class LambdaApi:
    """Operations are the public methods of the objects given: another group of operations is one more object."""

    def __init__(self, state: LambdaState, groups: Iterable[object]) -> None:
        self.state = state
        self._methods: dict[str, Callable[[Params], Params]] = {
            name: getattr(group, name)
            for group in groups
            for name in dir(group)
            if not name.startswith("_") and callable(getattr(group, name)) and name != "state"
        }

    def answer(self, operation: OperationModel, params: Params) -> Response:
        """The HTTP response. Raises AwsError."""
        name = xform_name(operation.name)
        if name not in self._methods:
            raise AwsError("NotImplementedException", f"The embedded AWS has no lambda:{operation.name}.", 501)
        model_validation.check(params, operation.input_shape)
        if name in UNLOCKED:
            result = self._methods[name](params)
        else:
            with self.state.lock:
                result = self._methods[name](params)
        serialized = RestJSONSerializer(operation).serialize(result)
        status = result.get("StatusCode", serialized["status_code"])
        return Response(serialized["body"], status, dict(serialized["headers"]))
