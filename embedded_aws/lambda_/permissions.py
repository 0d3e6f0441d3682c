"""Resource policies: who may invoke a function, one policy per qualifier."""

import json
from typing import Any

from embedded_aws.errors import conflict, invalid, not_found
from embedded_aws.lambda_.state import LATEST, Config, Function, LambdaState, Policy, new_id

Params = dict[str, Any]

# Parameter of AddPermission -> (operator, key) of the condition AWS stores.
CONDITIONS = {
    "FunctionUrlAuthType": ("StringEquals", "lambda:FunctionUrlAuthType"),
    "InvokedViaFunctionUrl": ("Bool", "lambda:InvokedViaFunctionUrl"),
    "SourceAccount": ("StringEquals", "AWS:SourceAccount"),
    "SourceArn": ("ArnLike", "AWS:SourceArn"),
    "PrincipalOrgID": ("StringEquals", "aws:PrincipalOrgID"),
    "EventSourceToken": ("StringEquals", "lambda:EventSourceToken"),
}
ONLY_WITH = {"FunctionUrlAuthType": "lambda:InvokeFunctionUrl", "InvokedViaFunctionUrl": "lambda:InvokeFunction"}


class Permissions:
    def __init__(self, state: LambdaState) -> None:
        self.state = state

    def add_permission(self, params: Params) -> Config:
        function, qualifier = self._subject(params)
        for key, action in ONLY_WITH.items():
            if key in params and params["Action"] != action:
                raise invalid(f"{key} is only supported for {action} action")
        policy = function.policies.setdefault(qualifier, Policy())
        if any(s["Sid"] == params["StatementId"] for s in policy.statements):
            raise conflict(
                f"The statement id ({params['StatementId']}) provided already exists. "
                "Please provide a new statement id, or remove the existing statement."
            )
        statement: dict[str, Any] = {
            "Sid": params["StatementId"],
            "Effect": "Allow",
            "Principal": self._principal(params["Principal"]),
            "Action": params["Action"],
            "Resource": self.state.arn(function.name, qualifier),
        }
        for key, (operator, name) in CONDITIONS.items():
            if params.get(key) is not None:
                value = str(params[key]).lower() if isinstance(params[key], bool) else params[key]
                statement.setdefault("Condition", {}).setdefault(operator, {})[name] = value
        policy.statements.append(statement)
        self._revise(function, qualifier)
        return {"Statement": json.dumps(statement, separators=(",", ":"))}

    def remove_permission(self, params: Params) -> Config:
        function, qualifier = self._subject(params)
        policy = function.policies.get(qualifier, Policy())
        kept = [s for s in policy.statements if s["Sid"] != params["StatementId"]]
        if len(kept) == len(policy.statements):
            raise not_found(f"Statement {params['StatementId']} is not found in resource policy.")
        policy.statements = kept
        self._revise(function, qualifier)
        return {}

    def get_policy(self, params: Params) -> Config:
        function, qualifier = self.state.function(params)
        self.state.check_qualifier(function, qualifier)
        policy = function.policies.get(qualifier)
        if policy is None or not policy.statements:
            raise not_found("The resource you requested does not exist.")
        document = {"Version": "2012-10-17", "Id": "default", "Statement": policy.statements}
        revision = self._revision(function, qualifier)
        return {"Policy": json.dumps(document, separators=(",", ":")), "RevisionId": revision}

    def _subject(self, params: Params) -> tuple[Function, str]:
        function, qualifier = self.state.function(params)
        if qualifier == LATEST:
            raise invalid("We currently do not support adding policies for $LATEST.")
        self.state.check_qualifier(function, qualifier)
        self.state.check_revision(params.get("RevisionId"), self._revision(function, qualifier))
        return function, qualifier

    def _revision(self, function: Function, qualifier: str) -> str:
        """A policy has no revision of its own: it is the function's, the version's or the alias's."""
        if alias := function.aliases.get(qualifier):
            return alias.revision
        return self.state.version(function, qualifier).revision_id(self.state.clock.time())

    def _revise(self, function: Function, qualifier: str) -> None:
        if alias := function.aliases.get(qualifier):
            alias.revision = new_id()
        else:
            self.state.version(function, qualifier).new_revision()

    def _principal(self, principal: str) -> Any:
        if principal == "*":
            return "*"
        if principal.isdigit():
            return {"AWS": f"arn:aws:iam::{principal}:root"}
        return {"AWS" if principal.startswith("arn:") else "Service": principal}
