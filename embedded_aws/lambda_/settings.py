"""The operations on reserved concurrency, tags and the limits of the account."""

from embedded_aws.calls import Params
from embedded_aws.errors import invalid, not_found
from embedded_aws.lambda_.deployed_version import Config
from embedded_aws.lambda_.state import MAPPING_NOT_FOUND, EventSourceMapping, Function, LambdaState


class Settings:
    """The operations on reserved concurrency, tags and account limits in one Region."""

    def __init__(self, state: LambdaState) -> None:
        self._state = state

    def put_function_concurrency(self, params: Params) -> Config:
        """Reserve concurrency for a function. Keep some of the account's concurrency unreserved."""
        function, _ = self._state.function(params)
        requested = params["ReservedConcurrentExecutions"]
        unreserved = self._state.unreserved_concurrency(without=function) - requested
        if unreserved < self._state.minimum_unreserved and requested:
            raise invalid(
                "Specified ReservedConcurrentExecutions for function decreases account's "
                f"UnreservedConcurrentExecution below its minimum value of [{self._state.minimum_unreserved}]."
            )
        function.reserved_concurrency = requested
        return {"ReservedConcurrentExecutions": requested}

    def get_function_concurrency(self, params: Params) -> Config:
        """Return the reserved concurrency of a function."""
        function, _ = self._state.function(params)
        reserved = function.reserved_concurrency
        return {} if reserved is None else {"ReservedConcurrentExecutions": reserved}

    def delete_function_concurrency(self, params: Params) -> Config:
        """Remove the reserved concurrency of a function."""
        self._state.function(params)[0].reserved_concurrency = None
        return {}

    def tag_resource(self, params: Params) -> Config:
        """Add tags to a function or an event source mapping."""
        self._by_arn(params).tags.update(params["Tags"])
        return {}

    def untag_resource(self, params: Params) -> Config:
        """Remove tags from a function or an event source mapping."""
        tags = self._by_arn(params).tags
        for key in params["TagKeys"]:
            tags.pop(key, None)
        return {}

    def list_tags(self, params: Params) -> Config:
        """Return the tags of a function or an event source mapping."""
        return {"Tags": self._by_arn(params).tags}

    def get_account_settings(self, params: Params) -> Config:
        """Return the limits of the account and its number of functions."""
        return {
            "AccountLimit": {
                "TotalCodeSize": 80530636800,
                "CodeSizeUnzipped": 262144000,
                "CodeSizeZipped": 52428800,
                "ConcurrentExecutions": self._state.account_concurrency,
                "UnreservedConcurrentExecutions": self._state.unreserved_concurrency(),
            },
            "AccountUsage": {"TotalCodeSize": 0, "FunctionCount": len(self._state.functions)},
        }

    def _by_arn(self, params: Params) -> Function | EventSourceMapping:
        _, is_mapping, uuid = params["Resource"].partition(":event-source-mapping:")
        if is_mapping:
            if uuid not in self._state.mappings:
                raise not_found(MAPPING_NOT_FOUND)
            return self._state.mappings[uuid]
        name = params["Resource"].partition(":function:")[2]
        if ":" in name:
            raise invalid("Tags on function aliases and versions are not supported. Please specify a function ARN.")
        if name not in self._state.functions:
            raise not_found(f"Function not found: {params['Resource']}")
        return self._state.functions[name]
