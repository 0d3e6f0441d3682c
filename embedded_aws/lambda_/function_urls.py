"""The operations on function URLs. A function has one for $LATEST and one for each alias."""

from datetime import UTC, datetime

from embedded_aws.calls import Params
from embedded_aws.errors import conflict, not_found
from embedded_aws.lambda_.deployed_version import Config
from embedded_aws.lambda_.function_url_server import FunctionUrlServer
from embedded_aws.lambda_.regions import check_function_urls
from embedded_aws.lambda_.state import Function, FunctionUrl, LambdaState


class FunctionUrls:
    """The operations on function URLs in one Region."""

    def __init__(self, state: LambdaState, server: FunctionUrlServer) -> None:
        self._state = state
        self._server = server

    def create_function_url_config(self, params: Params) -> Config:
        """Create a function URL and start to serve it."""
        check_function_urls(self._state.region)
        function, qualifier = self._state.function(params)
        self._state.check_qualifier(function, qualifier)
        if qualifier in function.urls:
            raise conflict(
                "Failed to create function url config for "
                f"[functionArn = {self._state.arn(function.name, qualifier)}]. "
                "Error message:  FunctionUrlConfig exists for this Lambda function"
            )
        now = self._state.clock.time()
        url, close = self._server.open(function.name, qualifier)
        mode, cors = params.get("InvokeMode", "BUFFERED"), params.get("Cors") or {}
        function.urls[qualifier] = FunctionUrl(qualifier, params["AuthType"], mode, cors, now, now, url, close)
        return self._describe(function, function.urls[qualifier])

    def get_function_url_config(self, params: Params) -> Config:
        """Return the configuration of a function URL."""
        return self._describe(*self._find(params))

    def update_function_url_config(self, params: Params) -> Config:
        """Change the configuration of a function URL."""
        function, url = self._find(params)
        url.auth_type = params.get("AuthType", url.auth_type)
        url.invoke_mode = params.get("InvokeMode", url.invoke_mode)
        url.cors = params.get("Cors", url.cors)
        url.modified_at = self._state.clock.time()
        return self._describe(function, url)

    def delete_function_url_config(self, params: Params) -> Config:
        """Delete a function URL and stop serving it."""
        function, url = self._find(params)
        function.urls.pop(url.qualifier).close()
        return {}

    def list_function_url_configs(self, params: Params) -> Config:
        """List the function URLs of a function."""
        check_function_urls(self._state.region)
        function, _ = self._state.function(params)
        return {"FunctionUrlConfigs": [self._describe(function, url) for url in function.urls.values()]}

    def _find(self, params: Params) -> tuple[Function, FunctionUrl]:
        check_function_urls(self._state.region)
        function, qualifier = self._state.function(params)
        if qualifier not in function.urls:
            raise not_found("The resource you requested does not exist.")
        return function, function.urls[qualifier]

    def _describe(self, function: Function, url: FunctionUrl) -> Config:
        out: Config = {
            "FunctionUrl": url.url,
            "FunctionArn": self._state.arn(function.name, url.qualifier),
            "AuthType": url.auth_type,
            "CreationTime": _iso(url.created_at),
            "LastModifiedTime": _iso(url.modified_at),
            "InvokeMode": url.invoke_mode,
        }
        return out | ({"Cors": url.cors} if url.cors else {})


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
