"""The function URL: a public HTTPS address of the alias."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError

from deploy.errors import DeployError, error_code, suppress_errors
from deploy.iam import Statement, allow
from deploy.resource import Endpoint, Outputs
from deploy.resources.alarms import live_dimensions
from deploy.resources.function import ALIAS
from deploy.stage import Stage
from deploy.state import State

if TYPE_CHECKING:
    from deploy.release import Live

# A public URL needs two policy statements since October 2025. The condition of the second one prevents anyone from invoking
# the function directly (docs.aws.amazon.com/lambda/latest/dg/urls-auth.html). For each: the arguments of AddPermission,
# and the condition that AWS makes of them.
PUBLIC_STATEMENTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "public-url": (
        {"Action": "lambda:InvokeFunctionUrl", "FunctionUrlAuthType": "NONE"},
        {"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}},
    ),
    "public-invoke": (
        {"Action": "lambda:InvokeFunction", "InvokedViaFunctionUrl": True},
        {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}},
    ),
}


def server_error_metric(stage: Stage) -> State:
    """Return the metric that counts responses with status 5xx."""
    return {"Namespace": "AWS/Lambda", "MetricName": "Url5xxCount", "Dimensions": live_dimensions(stage)}


class FunctionUrl(Endpoint):
    """The URL. With `auth = "none"` anyone can call it, with "iam" only signed requests of this account can."""

    kind = "function URL"

    @property
    def _target(self) -> dict[str, Any]:
        return {"FunctionName": self.name, "Qualifier": ALIAS}

    @property
    def _is_public(self) -> bool:
        return self.config.auth == "none"

    @property
    def curl_options(self) -> str:  # type: ignore[override]
        return "" if self._is_public else f'--aws-sigv4 "aws:amz:{self.config.region}:lambda" --user "KEY:SECRET" '

    def desired(self) -> State:
        if self._is_public:
            return {"AuthType": "NONE", "statements": [*PUBLIC_STATEMENTS]}
        return {"AuthType": "AWS_IAM", "statements": []}

    def read(self) -> State | None:
        with suppress_errors("ResourceNotFoundException"):
            config = self.stage.client("lambda").get_function_url_config(**self._target)
            return {**config, "statements": self._read_statements()}
        return None

    def outputs(self, state: State | None) -> Outputs:
        return {"endpoint.url": state["FunctionUrl"]} if state else {}

    def _read_statements(self) -> list[str]:
        """Return the IDs of the statements that make the URL public, with ": modified" after those that differ."""
        statements = {}
        with suppress_errors("ResourceNotFoundException"):
            policy = json.loads(self.stage.client("lambda").get_policy(**self._target)["Policy"])
            statements = {statement["Sid"]: statement for statement in policy["Statement"]}
        return [
            sid if _matches(statements[sid], *PUBLIC_STATEMENTS[sid]) else f"{sid}: modified"
            for sid in PUBLIC_STATEMENTS
            if sid in statements
        ]

    def create(self, desired: State) -> Outputs:
        self._set_statements(desired["statements"])  # first, because an account can forbid public access
        response = self.stage.client("lambda").create_function_url_config(**self._target, AuthType=desired["AuthType"])
        return {"endpoint.url": response["FunctionUrl"]}

    def update(self, changed: State) -> None:
        auth_type = changed.get("AuthType")
        if auth_type == "AWS_IAM":
            self._set_auth_type(auth_type)
        if "statements" in changed:
            self._set_statements(changed["statements"])
        if auth_type == "NONE":  # last, because a URL with this type and without statements refuses every request
            self._set_auth_type(auth_type)

    def _set_auth_type(self, auth_type: Any) -> None:
        self.stage.client("lambda").update_function_url_config(**self._target, AuthType=auth_type)

    def _set_statements(self, desired: list[str]) -> None:
        """Add and remove only statements that differ, so that a correct one is never missing for a moment."""
        client, current = self.stage.client("lambda"), self._read_statements()
        for statement in [statement for statement in current if statement not in desired]:
            client.remove_permission(**self._target, StatementId=statement.split(":")[0])
        for sid in [sid for sid in desired if sid not in current]:
            try:
                client.add_permission(**self._target, StatementId=sid, Principal="*", **PUBLIC_STATEMENTS[sid][0])
            except ClientError as error:
                if error_code(error) != "PublicPolicyException":
                    raise
                raise DeployError(
                    "This AWS account does not allow functions that anyone can call (PublicPolicyException).",
                    'Set auth = "iam" in deploy.toml, or ask an administrator of the account to allow public access.',
                ) from None

    def delete(self) -> None:
        self.stage.client("lambda").delete_function_url_config(**self._target)

    def is_propagating(self, status: int, body: str) -> bool:
        """Return True for status 403, with which a new URL, or one with a new permission, responds at first."""
        return status == 403

    def sign(self, request: AWSRequest) -> None:
        """Sign the request if the URL accepts only signed ones."""
        credentials: Any = self.stage.session.get_credentials()
        if not self._is_public:
            SigV4Auth(credentials, "lambda", self.config.region).add_auth(request)

    def deploy_permissions(self) -> list[Statement]:
        arn = self.stage.arn("lambda", f"function:{self.name}")
        actions = """
            AddPermission CreateFunctionUrlConfig GetFunctionUrlConfig GetPolicy InvokeFunctionUrl RemovePermission
            UpdateFunctionUrlConfig
        """
        return [allow("lambda", actions, arn, f"{arn}:*")]

    def destroy_permissions(self) -> list[Statement]:
        arn = self.stage.arn("lambda", f"function:{self.name}")
        return [allow("lambda", "DeleteFunctionUrlConfig", arn, f"{arn}:*")]

    def status(self, live: Live) -> list[tuple[str, str]]:
        url = self.outputs(self.read()).get("endpoint.url")
        return [("URL", url or f"none yet: run {self.stage.command}")]


def _matches(statement: dict[str, Any], arguments: dict[str, Any], condition: dict[str, Any]) -> bool:
    expected = {"Effect": "Allow", "Action": arguments["Action"], "Condition": condition}
    is_for_anyone = statement["Principal"] in ("*", {"AWS": "*"})
    return is_for_anyone and all(statement.get(key) == value for key, value in expected.items())
