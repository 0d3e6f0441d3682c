"""The operations on provisioned concurrency: environments of a version that are initialized in advance."""

from embedded_aws.calls import Params
from embedded_aws.errors import AwsError, invalid
from embedded_aws.lambda_.data_plane import DataPlane
from embedded_aws.lambda_.deployed_version import Config
from embedded_aws.lambda_.functions import page
from embedded_aws.lambda_.state import LATEST, Function, LambdaState, ProvisionedConcurrencyConfig, timestamp


class ProvisionedConcurrency:
    """The operations on provisioned concurrency in one Region."""

    def __init__(self, state: LambdaState, data_plane: DataPlane) -> None:
        self._state = state
        self._data_plane = data_plane

    def put_provisioned_concurrency_config(self, params: Params) -> Config:
        """Start the environments of a version.

        Their INIT is complete when this returns. Status stays IN_PROGRESS for `Delays.provision_s`, as on AWS.
        """
        state, requested = self._state, int(params["ProvisionedConcurrentExecutions"])
        with state.lock:
            function, qualifier = self._version(params)
            version = state.version(function, qualifier)
            state.check_active(version)
            if version.deployed.config["SnapStart"]["ApplyOn"] != "None":
                raise invalid("Provisioned Concurrency is not supported on a function version with SnapStart enabled.")
            self._check_limits(function, qualifier, requested)
            now = state.clock.time()
            created = ProvisionedConcurrencyConfig(requested, now, now + state.delays.provision_s)
            function.provisioned[qualifier] = created
        created.failure = self._data_plane.provision(state, version.deployed, requested)
        return _describe(created, now)

    def get_provisioned_concurrency_config(self, params: Params) -> Config:
        """Return the provisioned concurrency of a version and its status."""
        function, qualifier = self._version(params)
        if qualifier not in function.provisioned:
            reason = "No Provisioned Concurrency Config found for this function"
            raise AwsError("ProvisionedConcurrencyConfigNotFoundException", reason, 404)
        return _describe(function.provisioned[qualifier], self._state.clock.time())

    def list_provisioned_concurrency_configs(self, params: Params) -> Config:
        """List the provisioned concurrency of all versions of a function."""
        function, _ = self._state.function(params)
        now = self._state.clock.time()
        configs = [
            {"FunctionArn": self._state.arn(function.name, qualifier), **_describe(config, now)}
            for qualifier, config in function.provisioned.items()
        ]
        return page(configs, "ProvisionedConcurrencyConfigs", params)

    def delete_provisioned_concurrency_config(self, params: Params) -> Config:
        """Stop the provisioned environments of a version."""
        function, qualifier = self._version(params)
        function.provisioned.pop(qualifier, None)
        self._data_plane.provision(self._state, self._state.version(function, qualifier).deployed, 0)
        return {}

    def _version(self, params: Params) -> tuple[Function, str]:
        function, qualifier = self._state.function(params)
        if qualifier == LATEST:
            raise invalid("Provisioned Concurrency Configs cannot be applied to unpublished function versions.")
        if qualifier in function.aliases:
            if function.aliases[qualifier].weights:  # hashicorp/terraform-provider-aws#48116
                raise invalid("Alias with weights can not be used with Provisioned Concurrency")
            raise AwsError("NotImplementedException", "The embedded AWS provisions versions, not aliases.", 501)
        self._state.version(function, qualifier)
        return function, qualifier

    def _check_limits(self, function: Function, qualifier: str, requested: int) -> None:
        """Raise InvalidParameterValueException if all versions together would exceed a limit.

        The limit is the reserved concurrency of the function. Functions without it share the unreserved concurrency.
        """
        is_reserved = function.reserved_concurrency is not None
        functions = [function] if is_reserved else self._state.functions.values()
        total = requested + sum(
            config.requested
            for other in functions
            if is_reserved or other.reserved_concurrency is None
            for version, config in other.provisioned.items()
            if (other.name, version) != (function.name, qualifier)
        )
        if function.reserved_concurrency is not None:
            if total > function.reserved_concurrency:
                raise invalid(
                    "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution "
                    "for function"
                )
        elif total > self._state.unreserved_concurrency() - self._state.minimum_unreserved:
            raise invalid(
                "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution "
                f"below its minimum value of [{self._state.minimum_unreserved}]."
            )


def _describe(config: ProvisionedConcurrencyConfig, now: float) -> Config:
    out: Config = {
        "RequestedProvisionedConcurrentExecutions": config.requested,
        "LastModified": timestamp(config.modified_at),
    }
    if now < config.ready_at:
        available, status = 0, "IN_PROGRESS"
    elif config.failure:
        available, status = 0, "FAILED"
        out["StatusReason"] = config.failure
    else:
        available, status = config.requested, "READY"
    return out | {
        "AllocatedProvisionedConcurrentExecutions": available,
        "AvailableProvisionedConcurrentExecutions": available,
        "Status": status,
    }
