"""Function URL configurations: one URL for a function or an alias, never for a version number."""

from datetime import UTC, datetime
from typing import Any, Protocol

from embedded_aws.errors import AwsError, conflict, not_found
from embedded_aws.lambda_.state import Config, Function, FunctionUrl, LambdaState

Params = dict[str, Any]

# https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html
REGIONS_WITHOUT = {
    "ap-east-2", "ap-south-2", "ap-southeast-4", "ap-southeast-5", "ap-southeast-6", "ap-southeast-7",
    "ca-west-1", "eu-central-2", "eu-south-2", "il-central-1", "me-central-1",
}  # fmt: skip


class Opens(Protocol):
    def __call__(self, function: str, qualifier: str) -> tuple[str, Any]:
        """Starts to listen. Returns the URL and what closes it."""


class FunctionUrls:
    def __init__(self, state: LambdaState, opens: Opens) -> None:
        self.state = state
        self._open = opens

    def create_function_url_config(self, params: Params) -> Config:
        self._check_region()
        function, qualifier = self.state.function(params)
        self.state.check_qualifier(function, qualifier)
        if qualifier in function.urls:
            raise conflict(
                "Failed to create function url config for "
                f"[functionArn = {self.state.arn(function.name, qualifier)}]. "
                "Error message:  FunctionUrlConfig exists for this Lambda function"
            )
        now = self.state.clock.time()
        url, close = self._open(function.name, qualifier)
        mode, cors = params.get("InvokeMode", "BUFFERED"), params.get("Cors") or {}
        function.urls[qualifier] = FunctionUrl(qualifier, params["AuthType"], mode, cors, now, now, url, close)
        return self._describe(function, function.urls[qualifier])

    def get_function_url_config(self, params: Params) -> Config:
        return self._describe(*self._found(params))

    def update_function_url_config(self, params: Params) -> Config:
        function, url = self._found(params)
        url.auth_type = params.get("AuthType", url.auth_type)
        url.invoke_mode = params.get("InvokeMode", url.invoke_mode)
        url.cors = params.get("Cors", url.cors)
        url.modified_at = self.state.clock.time()
        return self._describe(function, url)

    def delete_function_url_config(self, params: Params) -> Config:
        function, url = self._found(params)
        function.urls.pop(url.qualifier).close()
        return {}

    def list_function_url_configs(self, params: Params) -> Config:
        self._check_region()
        function, _ = self.state.function(params)
        return {"FunctionUrlConfigs": [self._describe(function, url) for url in function.urls.values()]}

    def _check_region(self) -> None:
        """Where there are no function URLs, none of their operations exists (zappa/Zappa#1425)."""
        if self.state.region in REGIONS_WITHOUT:
            reason = "Unable to determine service/operation name to be authorized"
            raise AwsError("AccessDeniedException", reason, 403)

    def _found(self, params: Params) -> tuple[Function, FunctionUrl]:
        self._check_region()
        function, qualifier = self.state.function(params)
        if qualifier not in function.urls:
            raise not_found("The resource you requested does not exist.")
        return function, function.urls[qualifier]

    def _describe(self, function: Function, url: FunctionUrl) -> Config:
        out: Config = {
            "FunctionUrl": url.url,
            "FunctionArn": self.state.arn(function.name, url.qualifier),
            "AuthType": url.auth_type,
            "CreationTime": _iso(url.created_at),
            "LastModifiedTime": _iso(url.modified_at),
            "InvokeMode": url.invoke_mode,
        }
        return out | ({"Cors": url.cors} if url.cors else {})


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
