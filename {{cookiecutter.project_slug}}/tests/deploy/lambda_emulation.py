"""The parts of Lambda's API that moto 5.2 does not emulate completely, such as settings, permissions and Invoke."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

Respond = Callable[[dict[str, Any]], dict[str, Any]]
Call = Callable[[], Any]

OTHER_PARAMETERS = {"FunctionName", "Code", "ImageUri", "PackageType", "Tags"}  # are not settings of the function


class LambdaEmulation:
    """Completes moto's responses. `respond` is the code of every function whose name is not in `functions`."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond
        self.functions: dict[str, Respond] = {}
        self._settings: dict[tuple[str, str], dict[str, Any]] = {}
        self._images: dict[tuple[str, str], str] = {}
        self._statements: dict[str, dict[str, Any]] = {}
        self._mapped_functions: dict[str, str] = {}
        self._revision = 0

    def call(self, operation: str, params: dict[str, Any], moto: Call) -> Any:
        """Return the response to an operation of Lambda. `moto` calls moto."""
        handler: Callable[[dict[str, Any], Call], Any] | None = getattr(self, f"_{operation}", None)
        return handler(params, moto) if handler else moto()

    def _CreateFunction(self, params: dict[str, Any], moto: Call) -> Any:
        self._images[params["FunctionName"], "$LATEST"] = params["Code"]["ImageUri"]
        return self._update(params, moto)

    def _UpdateFunctionCode(self, params: dict[str, Any], moto: Call) -> Any:
        self._images[params["FunctionName"], "$LATEST"] = params["ImageUri"]
        return self._update(params, moto)

    def _UpdateFunctionConfiguration(self, params: dict[str, Any], moto: Call) -> Any:
        return self._update(params, moto)

    def _update(self, params: dict[str, Any], moto: Call) -> Any:
        response = moto()
        self._revision += 1
        settings = self._settings.setdefault((params["FunctionName"], "$LATEST"), {})
        settings |= {key: copy.deepcopy(value) for key, value in params.items() if key not in OTHER_PARAMETERS}
        settings |= {"RevisionId": str(self._revision)}
        return response

    def _PublishVersion(self, params: dict[str, Any], moto: Call) -> Any:
        response, name = moto(), params["FunctionName"]
        latest, published = (name, "$LATEST"), (name, response["Version"])
        self._settings.setdefault(published, copy.deepcopy(self._settings[latest]))
        self._images.setdefault(published, self._images[latest])
        return response

    def _GetFunction(self, params: dict[str, Any], moto: Call) -> Any:
        response = moto()
        configuration = self._complete(params["FunctionName"], response["Configuration"])
        uri = self._images[params["FunctionName"], configuration["Version"]]
        return {**response, "Code": {"ImageUri": uri, "ResolvedImageUri": uri}}

    def _GetFunctionConfiguration(self, params: dict[str, Any], moto: Call) -> Any:
        return self._complete(params["FunctionName"], moto())

    def _ListVersionsByFunction(self, params: dict[str, Any], moto: Call) -> Any:
        response = moto()
        for configuration in response["Versions"]:
            self._complete(params["FunctionName"], configuration)
        return response

    def _CreateEventSourceMapping(self, params: dict[str, Any], moto: Call) -> Any:
        response = moto()
        self._mapped_functions[response["UUID"]] = params["FunctionName"]
        return response

    def _ListEventSourceMappings(self, params: dict[str, Any], moto: Call) -> Any:
        """Return the function as it was passed, where moto resolves its alias."""
        response = moto()
        for mapping in response["EventSourceMappings"]:
            mapping["FunctionArn"] = self._mapped_functions[mapping["UUID"]]
        return response

    def _complete(self, name: str, configuration: dict[str, Any]) -> dict[str, Any]:
        settings = copy.deepcopy(self._settings[name, configuration["Version"]])
        if image_config := settings.pop("ImageConfig", None):
            settings["ImageConfigResponse"] = {"ImageConfig": image_config}
{% if cookiecutter.cold_starts == 'snapstart' %}
        if "SnapStart" in settings:
            settings["SnapStart"]["OptimizationStatus"] = "Off" if configuration["Version"] == "$LATEST" else "On"
{% endif %}
        configuration |= settings
        return configuration

    def _AddPermission(self, params: dict[str, Any], moto: Call) -> Any:
        condition: dict[str, Any] = {}
{% if cookiecutter.endpoint == 'function_url' %}
        if "FunctionUrlAuthType" in params:
            condition["StringEquals"] = {"lambda:FunctionUrlAuthType": params["FunctionUrlAuthType"]}
        if "InvokedViaFunctionUrl" in params:
            condition["Bool"] = {"lambda:InvokedViaFunctionUrl": str(params["InvokedViaFunctionUrl"]).lower()}
{% else %}
        if "SourceArn" in params:
            condition["ArnLike"] = {"AWS:SourceArn": params["SourceArn"]}
{% endif %}
        principal = params["Principal"] if params["Principal"] == "*" else {"Service": params["Principal"]}
        self._statements[params["StatementId"]] = {
            "Sid": params["StatementId"],
            "Effect": "Allow",
            "Principal": principal,
            "Action": params["Action"],
            "Resource": f"arn:aws:lambda:us-east-1:123456789012:function:{params['FunctionName']}:{params['Qualifier']}",
            "Condition": condition,
        }
        return {}

    def _RemovePermission(self, params: dict[str, Any], moto: Call) -> Any:
        del self._statements[params["StatementId"]]
        return {}

    def _GetPolicy(self, params: dict[str, Any], moto: Call) -> Any:
        if not self._statements:
            error = {"Error": {"Code": "ResourceNotFoundException", "Message": "The resource has no policy."}}
            raise ClientError(error, "GetPolicy")  # type: ignore[arg-type]
        return {"Policy": json.dumps({"Statement": [*self._statements.values()]})}

    def _Invoke(self, params: dict[str, Any], moto: Call) -> Any:
        name, _, _ = params["FunctionName"].partition(":")  # without the version
        respond = self.functions.get(name, self.respond)
        try:
            return {"Payload": io.BytesIO(json.dumps(respond(json.loads(params["Payload"]))).encode())}
        except Exception as error:
            payload = {"errorMessage": str(error), "errorType": type(error).__name__}
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(json.dumps(payload).encode())}
