"""The public HTTPS URL, on the alias `live`."""

import json
from typing import Any

from deploy.aws import absent_is_none
from deploy.resource import Resource, State
from deploy.resources.function import ALIAS

# A public URL needs both since October 2025; the condition of the second keeps direct Invoke closed to the world
# (docs.aws.amazon.com/lambda/latest/dg/urls-auth.html). Of each: its grant, and the condition that AWS makes of it.
PUBLIC: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "public-url": (
        {"Action": "lambda:InvokeFunctionUrl", "FunctionUrlAuthType": "NONE"},
        {"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}},
    ),
    "public-invoke": (
        {"Action": "lambda:InvokeFunction", "InvokedViaFunctionUrl": True},
        {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}},
    ),
}


class FunctionUrl(Resource):
    """With `auth = "none"` anyone may call it; with "iam" only signed requests of this account."""

    kind = "function URL"
    _url: str | None = None  # as last read

    @property
    def _on_alias(self) -> dict[str, Any]:
        return {"FunctionName": self.name, "Qualifier": ALIAS}

    def desired(self) -> State:
        public = self.service.auth == "none"
        return {"AuthType": "NONE", "statements": [*PUBLIC]} if public else {"AuthType": "AWS_IAM", "statements": []}

    def read(self) -> State | None:
        self._url = ""
        with absent_is_none("ResourceNotFoundException"):
            config = self.aws.lambda_.get_function_url_config(**self._on_alias)
            self._url = config["FunctionUrl"]
            return {**config, "statements": self._statements()}
        return None

    def url(self) -> str:
        """What clients call, ending in a slash; empty before the first release."""
        if self._url is None:
            self.read()
        return self._url or ""

    def _statements(self) -> list[str]:
        """Those that make it public: as they should be, or "broken"."""
        there = {}
        with absent_is_none("ResourceNotFoundException"):
            policy = json.loads(self.aws.lambda_.get_policy(**self._on_alias)["Policy"])
            there = {statement["Sid"]: statement for statement in policy["Statement"]}
        return [sid if _is_whole(there[sid], *PUBLIC[sid]) else f"{sid}: broken" for sid in PUBLIC if sid in there]

    def create(self) -> None:
        made = self.aws.lambda_.create_function_url_config(**self._on_alias, AuthType=self.desired()["AuthType"])
        self._url = made["FunctionUrl"]
        self._grant()

    def update(self, changed: State) -> None:
        if "AuthType" in changed:
            self.aws.lambda_.update_function_url_config(**self._on_alias, AuthType=changed["AuthType"])
        self._grant()

    def _grant(self) -> None:
        """Only what differs is touched: a statement that is right is never missing for a moment."""
        wanted, present = self.desired()["statements"], self._statements()
        for statement in [one for one in present if one not in wanted]:
            self.aws.lambda_.remove_permission(**self._on_alias, StatementId=statement.split(":")[0])
        for sid in [one for one in wanted if one not in present]:
            self.aws.lambda_.add_permission(**self._on_alias, StatementId=sid, Principal="*", **PUBLIC[sid][0])

    def delete(self) -> None:
        self.aws.lambda_.delete_function_url_config(**self._on_alias)


def _is_whole(statement: dict[str, Any], grant: dict[str, Any], condition: dict[str, Any]) -> bool:
    wanted = {"Effect": "Allow", "Action": grant["Action"], "Condition": condition}
    anyone = statement["Principal"] in ("*", {"AWS": "*"})
    return anyone and all(statement.get(key) == value for key, value in wanted.items())
