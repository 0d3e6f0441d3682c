"""Provisioned concurrency: environments of a version that are ready before requests come."""

from typing import Any

from embedded_aws.errors import AwsError, conflict, invalid
from embedded_aws.lambda_.data_plane import DataPlane
from embedded_aws.lambda_.functions import page
from embedded_aws.lambda_.state import LATEST, Config, Function, LambdaState, Provisioned, timestamp

Params = dict[str, Any]


class ProvisionedConcurrency:
    def __init__(self, state: LambdaState, data_plane: DataPlane) -> None:
        self.state = state
        self._data_plane = data_plane

    def put_provisioned_concurrency_config(self, params: Params) -> Config:
        """INIT is done when this returns; how it went shows once the clock says that AWS would be done, too."""
        state, wanted = self.state, int(params["ProvisionedConcurrentExecutions"])
        with state.lock:
            function, qualifier = self._version(params)
            version = state.version(function, qualifier)
            now = state.clock.time()
            if now < version.active_at:
                because = "The operation cannot be performed at this time."
                raise conflict(f"{because} The function is currently in the following state: Pending")
            if version.deployed.config["SnapStart"]["ApplyOn"] != "None":
                raise invalid("Provisioned Concurrency is not supported on a function version with SnapStart enabled.")
            self._check_limits(function, qualifier, wanted)
            made = Provisioned(wanted, now, now + state.delays.provision_s)
            function.provisioned[qualifier] = made
        made.failure = self._data_plane.provision(state, version.deployed, wanted)
        return _describe(made, now)

    def get_provisioned_concurrency_config(self, params: Params) -> Config:
        function, qualifier = self._version(params)
        if qualifier not in function.provisioned:
            reason = "No Provisioned Concurrency Config found for this function"
            raise AwsError("ProvisionedConcurrencyConfigNotFoundException", reason, 404)
        return _describe(function.provisioned[qualifier], self.state.clock.time())

    def list_provisioned_concurrency_configs(self, params: Params) -> Config:
        function, _ = self.state.function(params)
        now = self.state.clock.time()
        found = [
            {"FunctionArn": self.state.arn(function.name, qualifier), **_describe(one, now)}
            for qualifier, one in function.provisioned.items()
        ]
        return page(found, "ProvisionedConcurrencyConfigs", params)

    def delete_provisioned_concurrency_config(self, params: Params) -> Config:
        function, qualifier = self._version(params)
        function.provisioned.pop(qualifier, None)
        self._data_plane.provision(self.state, self.state.version(function, qualifier).deployed, 0)
        return {}

    def _version(self, params: Params) -> tuple[Function, str]:
        function, qualifier = self.state.function(params)
        if qualifier == LATEST:
            raise invalid("Provisioned Concurrency Configs cannot be applied to unpublished function versions.")
        if qualifier in function.aliases:
            if function.aliases[qualifier].weights:  # hashicorp/terraform-provider-aws#48116
                raise invalid("Alias with weights can not be used with Provisioned Concurrency")
            raise AwsError("NotImplementedException", "The embedded AWS provisions versions, not aliases.", 501)
        self.state.version(function, qualifier)
        return function, qualifier

    def _check_limits(self, function: Function, qualifier: str, wanted: int) -> None:
        """All versions together stay below what is reserved for the function, else below what the account may have."""
        total = wanted + sum(one.requested for other, one in function.provisioned.items() if other != qualifier)
        if function.reserved_concurrency is not None:
            if total > function.reserved_concurrency:
                raise invalid(
                    "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution "
                    "for function"
                )
        elif total > self.state.account_concurrency - self.state.kept_unreserved:
            raise invalid(
                "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution "
                f"below its minimum value of [{self.state.kept_unreserved}]."
            )


def _describe(one: Provisioned, now: float) -> Config:
    out: Config = {
        "RequestedProvisionedConcurrentExecutions": one.requested,
        "LastModified": timestamp(one.modified_at),
    }
    if now < one.ready_at:
        ready, status = 0, "IN_PROGRESS"
    elif one.failure:
        ready, status = 0, "FAILED"
        out["StatusReason"] = one.failure
    else:
        ready, status = one.requested, "READY"
    allocated = {f"{what}ProvisionedConcurrentExecutions": ready for what in ("Allocated", "Available")}
    return out | allocated | {"Status": status}
