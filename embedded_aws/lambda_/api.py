"""Lambda's control plane in one Region: call the method that implements an operation and serialize its result."""

from collections.abc import Callable, Iterable

from botocore import xform_name
from moto.core.model import OperationModel
from moto.core.serialize import RestJSONSerializer
from werkzeug import Response

from embedded_aws import model_validation
from embedded_aws.calls import Params
from embedded_aws.errors import AwsError
from embedded_aws.lambda_.state import LambdaState

WITHOUT_LOCK = {"invoke", "put_provisioned_concurrency_config"}  # these take as long as the handler or INIT


class LambdaApi:
    """The operations of Lambda.

    They are the public methods of the objects in `groups`, named as in boto3: CreateFunction is `create_function`. Each
    takes the parameters of the call and returns the members of the response.
    """

    def __init__(self, state: LambdaState, groups: Iterable[object]) -> None:
        self.state = state
        self._operations: dict[str, Callable[[Params], Params]] = {
            name: getattr(group, name)
            for group in groups
            for name in dir(group)
            if not name.startswith("_") and callable(getattr(group, name))
        }

    def respond(self, operation: OperationModel, params: Params) -> Response:
        """Return the HTTP response to a call. Raise AwsError if AWS would respond with an error."""
        name = xform_name(operation.name)
        if name not in self._operations:
            message = f"The embedded AWS does not implement lambda:{operation.name}."
            raise AwsError("NotImplementedException", message, 501)
        model_validation.check(params, operation.input_shape)
        if name in WITHOUT_LOCK:
            result = self._operations[name](params)
        else:
            with self.state.lock:
                result = self._operations[name](params)
        serialized = RestJSONSerializer(operation).serialize(result)
        status = result.get("StatusCode", serialized["status_code"])
        return Response(serialized["body"], status, dict(serialized["headers"]))
