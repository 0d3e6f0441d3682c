"""The public HTTPS URL, on the alias `live`."""

import json
from typing import Any

from deploy.aws import absent_is_none
from deploy.resource import Resource, State
from deploy.resources.function import ALIAS

# A public URL needs both since October 2025; the condition of the second keeps direct Invoke closed to the world
# (docs.aws.amazon.com/lambda/latest/dg/urls-auth.html).
PUBLIC: dict[str, dict[str, Any]] = {
    "public-url": {"Action": "lambda:InvokeFunctionUrl", "FunctionUrlAuthType": "NONE"},
    "public-invoke": {"Action": "lambda:InvokeFunction", "InvokedViaFunctionUrl": True},
}
CONDITIONS = {
    "public-url": {"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}},
    "public-invoke": {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}},
}


class FunctionUrl(Resource):
    """With `auth = "none"` anyone may call it; with "iam" only signed requests of this account."""

    kind = "function URL"

    @property
    def _on_alias(self) -> dict[str, Any]:
        return {"FunctionName": self.name, "Qualifier": ALIAS}

    def desired(self) -> State:
        public = self.service.auth == "none"
        return {"auth": "NONE", "public": list(PUBLIC)} if public else {"auth": "AWS_IAM", "public": []}

    def read(self) -> State | None:
        with absent_is_none("ResourceNotFoundException"):
            found = self.aws.lambda_.get_function_url_config(**self._on_alias)
            return {"auth": found["AuthType"], "public": self._public_statements()}
        return None

    def url(self) -> str | None:
        """What clients call, ending in a slash; None before the first release."""
        with absent_is_none("ResourceNotFoundException"):
            return self.aws.lambda_.get_function_url_config(**self._on_alias)["FunctionUrl"]
        return None

    def _public_statements(self) -> list[str]:
        """Those of the public statements that are there and say exactly what they should; "broken" for the others."""
        statements = {statement["Sid"]: statement for statement in self._policy()}
        return [sid if _is_whole(sid, statements[sid]) else f"{sid}: broken" for sid in PUBLIC if sid in statements]

    def _policy(self) -> list[dict[str, Any]]:
        with absent_is_none("ResourceNotFoundException"):
            return list(json.loads(self.aws.lambda_.get_policy(**self._on_alias)["Policy"])["Statement"])
        return []

    def create(self) -> None:
        self.aws.lambda_.create_function_url_config(**self._on_alias, AuthType=self.desired()["auth"])
        self._grant()

    def update(self, changed: State) -> None:
        if "auth" in changed:
            self.aws.lambda_.update_function_url_config(**self._on_alias, AuthType=changed["auth"])
        self._grant()

    def _grant(self) -> None:
        """Only what differs is touched: a statement that is right is never missing for a moment."""
        wanted, present = self.desired()["public"], self._public_statements()
        for sid in present:
            if sid not in wanted:
                self.aws.lambda_.remove_permission(**self._on_alias, StatementId=sid.split(":")[0])
        for sid in wanted:
            if sid not in present:
                self.aws.lambda_.add_permission(**self._on_alias, StatementId=sid, Principal="*", **PUBLIC[sid])

    def delete(self) -> None:
        self.aws.lambda_.delete_function_url_config(**self._on_alias)


def _is_whole(sid: str, statement: dict[str, Any]) -> bool:
    return (
        statement["Effect"] == "Allow"
        and statement["Principal"] in ("*", {"AWS": "*"})
        and statement["Action"] == PUBLIC[sid]["Action"]
        and statement.get("Condition") == CONDITIONS[sid]
    )
