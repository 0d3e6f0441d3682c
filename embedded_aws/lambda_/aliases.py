"""The operations on aliases."""

from embedded_aws.calls import Params
from embedded_aws.errors import conflict, invalid, not_found
from embedded_aws.lambda_.deployed_version import Config
from embedded_aws.lambda_.functions import page
from embedded_aws.lambda_.state import LATEST, Alias, Function, LambdaState, new_id


class Aliases:
    """The operations on aliases in one Region."""

    def __init__(self, state: LambdaState) -> None:
        self._state = state

    def create_alias(self, params: Params) -> Config:
        """Create an alias."""
        function, _ = self._state.function(params)
        name = params["Name"]
        if name in function.aliases:
            raise conflict(f"Alias already exists: {self._state.arn(function.name, name)}")
        weights = self._weights(function, params["FunctionVersion"], params)
        alias = Alias(name, params["FunctionVersion"], params.get("Description", ""), weights, new_id())
        function.aliases[name] = alias
        return self._describe(function, alias)

    def get_alias(self, params: Params) -> Config:
        """Return an alias."""
        function, alias = self._alias(params)
        return self._describe(function, alias)

    def update_alias(self, params: Params) -> Config:
        """Move an alias to another version or change its description. Check RevisionId if it is set."""
        function, alias = self._alias(params)
        self._state.check_revision(params.get("RevisionId"), alias.revision)
        version = params.get("FunctionVersion", alias.version)
        if "RoutingConfig" not in params:  # the alias keeps its weights, which have to fit the new version
            params = {**params, "RoutingConfig": {"AdditionalVersionWeights": alias.weights}}
        alias.weights = self._weights(function, version, params)
        alias.version, alias.description = version, params.get("Description", alias.description)
        alias.revision = new_id()
        return self._describe(function, alias)

    def delete_alias(self, params: Params) -> Config:
        """Delete an alias with its function URL and its policy. Succeed if it does not exist."""
        function, _ = self._state.function(params)
        name = params["Name"]
        if url := function.urls.pop(name, None):
            url.close()
        function.aliases.pop(name, None)
        function.policies.pop(name, None)
        return {}

    def list_aliases(self, params: Params) -> Config:
        """List the aliases of a function, or those of one version."""
        function, _ = self._state.function(params)
        version = params.get("FunctionVersion")
        aliases = [a for a in function.aliases.values() if version in (None, a.version)]
        return page([self._describe(function, alias) for alias in aliases], "Aliases", params)

    def _alias(self, params: Params) -> tuple[Function, Alias]:
        function, _ = self._state.function(params)
        alias = function.aliases.get(params["Name"])
        if alias is None:
            raise not_found(f"Cannot find alias arn: {self._state.arn(function.name, params['Name'])}")
        return function, alias

    def _weights(self, function: Function, version: str, params: Params) -> dict[str, float]:
        self._state.check_qualifier(function, version)
        if version in function.aliases:
            raise not_found(f"Function not found: {self._state.arn(function.name, version)}")
        weights = (params.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        if len(weights) > 1:
            raise invalid("Number of items in AdditionalVersionWeights cannot be greater than 1")
        for other in weights:
            self._check_split(function, version, other)
        return dict(weights)

    def _check_split(self, function: Function, version: str, other: str) -> None:
        """Raise AwsError unless an alias can route to both versions. The last message is not AWS's.

        https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html
        """
        if version == other:
            raise invalid(
                f"Invalid function version {version}. "
                f"Function version {version} is already included in routing configuration."
            )
        if version == LATEST:
            raise invalid("$LATEST is not supported for an alias pointing to more than 1 version")
        first, second = (self._state.version(function, number).deployed.config for number in (version, other))
        for key in ("Role", "DeadLetterConfig"):
            if first.get(key) != second.get(key):
                raise invalid(f"The versions {version} and {other} of an alias must have the same {key}.")

    def _describe(self, function: Function, alias: Alias) -> Config:
        out: Config = {
            "AliasArn": self._state.arn(function.name, alias.name),
            "Name": alias.name,
            "FunctionVersion": alias.version,
            "Description": alias.description,
            "RevisionId": alias.revision,
        }
        return out | ({"RoutingConfig": {"AdditionalVersionWeights": alias.weights}} if alias.weights else {})
