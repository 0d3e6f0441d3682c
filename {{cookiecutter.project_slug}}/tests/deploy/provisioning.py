"""Provisioned concurrency, which moto does not emulate, and a correction of its schedules."""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError
from moto.applicationautoscaling.models import applicationautoscaling_backends

NOT_FOUND = "ProvisionedConcurrencyConfigNotFoundException"


class Provisioning:
    """The `executions` of each version. If `failure` is set, AWS cannot start them, for that reason."""

    def __init__(self) -> None:
        self.executions: dict[str, int] = {}
        self.failure = ""

    def answer(self, operation: str, parameters: dict[str, Any], moto: Callable[[], Any]) -> Any:
        if operation == "DeregisterScalableTarget":
            self._forget_schedule(parameters["ResourceId"])
        if "ProvisionedConcurrency" not in operation:
            return moto()
        name = f"{parameters['FunctionName']}:{parameters.get('Qualifier', '')}"
        match operation.removesuffix("s").removesuffix("ProvisionedConcurrencyConfig"):
            case "Put":
                self.executions[name] = parameters["ProvisionedConcurrentExecutions"]
            case "Get" if name not in self.executions:
                raise ClientError({"Error": {"Code": NOT_FOUND, "Message": "No config"}}, operation)
            case "Delete":
                self.executions.pop(name, None)
            case "List":
                arn = "arn:aws:lambda:us-east-1:123456789012:function:"
                configs = [{"FunctionArn": arn + version} for version in self.executions if version.startswith(name)]
                return {"ProvisionedConcurrencyConfigs": configs}
        status = {"Status": "FAILED", "StatusReason": self.failure} if self.failure else {"Status": "READY"}
        return status | {"RequestedProvisionedConcurrentExecutions": self.executions.get(name)}

    def _forget_schedule(self, resource: str) -> None:
        """Delete the scheduled actions of a target that was deregistered."""
        for account in applicationautoscaling_backends.values():
            for backend in account.values():
                backend.scheduled_actions = [
                    action for action in backend.scheduled_actions if action.resource_id != resource
                ]
