"""Settings beside a function's versions: reserved concurrency, tags, the account's limits."""

from typing import Any

from embedded_aws.errors import invalid, not_found
from embedded_aws.lambda_.state import Config, Function, LambdaState

Params = dict[str, Any]


class Settings:
    def __init__(self, state: LambdaState) -> None:
        self.state = state

    def put_function_concurrency(self, params: Params) -> Config:
        function, _ = self.state.function(params)
        wanted = params["ReservedConcurrentExecutions"]
        others = sum(f.reserved_concurrency or 0 for f in self.state.functions.values() if f is not function)
        if self.state.account_concurrency - others - wanted < self.state.kept_unreserved and wanted:
            raise invalid(
                "Specified ReservedConcurrentExecutions for function decreases account's "
                f"UnreservedConcurrentExecution below its minimum value of [{self.state.kept_unreserved}]."
            )
        function.reserved_concurrency = wanted
        return {"ReservedConcurrentExecutions": wanted}

    def get_function_concurrency(self, params: Params) -> Config:
        function, _ = self.state.function(params)
        reserved = function.reserved_concurrency
        return {} if reserved is None else {"ReservedConcurrentExecutions": reserved}

    def delete_function_concurrency(self, params: Params) -> Config:
        self.state.function(params)[0].reserved_concurrency = None
        return {}

    def tag_resource(self, params: Params) -> Config:
        self._tagged(params).tags.update(params["Tags"])
        return {}

    def untag_resource(self, params: Params) -> Config:
        tags = self._tagged(params).tags
        for key in params["TagKeys"]:
            tags.pop(key, None)
        return {}

    def list_tags(self, params: Params) -> Config:
        return {"Tags": self._tagged(params).tags}

    def get_account_settings(self, params: Params) -> Config:
        reserved = sum(f.reserved_concurrency or 0 for f in self.state.functions.values())
        limit = self.state.account_concurrency
        return {
            "AccountLimit": {
                "TotalCodeSize": 80530636800,
                "CodeSizeUnzipped": 262144000,
                "CodeSizeZipped": 52428800,
                "ConcurrentExecutions": limit,
                "UnreservedConcurrentExecutions": limit - reserved,
            },
            "AccountUsage": {"TotalCodeSize": 0, "FunctionCount": len(self.state.functions)},
        }

    def _tagged(self, params: Params) -> Function:
        name = params["Resource"].partition(":function:")[2]
        if ":" in name:
            raise invalid("Tags on function aliases and versions are not supported. Please specify a function ARN.")
        if name not in self.state.functions:
            raise not_found(f"Function not found: {params['Resource']}")
        return self.state.functions[name]
