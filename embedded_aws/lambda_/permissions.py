"""The operations on resource policies. Each qualifier of a function has its own policy."""

import json
from typing import Any

from embedded_aws.calls import Params
from embedded_aws.errors import AwsError, conflict, invalid, not_found
from embedded_aws.lambda_.deployed_version import Config
from embedded_aws.lambda_.state import LATEST, Function, LambdaState, Policy, new_id

# The operator and key of the condition that AWS stores, by the parameter of AddPermission.
CONDITIONS = {
    "FunctionUrlAuthType": ("StringEquals", "lambda:FunctionUrlAuthType"),
    "InvokedViaFunctionUrl": ("Bool", "lambda:InvokedViaFunctionUrl"),
    "SourceAccount": ("StringEquals", "AWS:SourceAccount"),
    "SourceArn": ("ArnLike", "AWS:SourceArn"),
    "PrincipalOrgID": ("StringEquals", "aws:PrincipalOrgID"),
    "EventSourceToken": ("StringEquals", "lambda:EventSourceToken"),
}
# A statement for everybody with one of these conditions is not public.
RESTRICTIONS = ("SourceAccount", "SourceArn", "PrincipalOrgID")
REQUIRED_ACTION = {"FunctionUrlAuthType": "lambda:InvokeFunctionUrl", "InvokedViaFunctionUrl": "lambda:InvokeFunction"}


class Permissions:
    """The operations on resource policies in one Region."""

    def __init__(self, state: LambdaState) -> None:
        self._state = state

    def add_permission(self, params: Params) -> Config:
        """Add a statement to the policy of a function, a version or an alias."""
        function, qualifier = self._find(params)
        for key, action in REQUIRED_ACTION.items():
            if key in params and params["Action"] != action:
                raise invalid(f"{key} is only supported for {action} action")
        self._check_public_access(params)
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
            "Resource": self._state.arn(function.name, qualifier),
        }
        for key, (operator, name) in CONDITIONS.items():
            if params.get(key) is not None:
                value = str(params[key]).lower() if isinstance(params[key], bool) else params[key]
                statement.setdefault("Condition", {}).setdefault(operator, {})[name] = value
        policy.statements.append(statement)
        self._change_revision(function, qualifier)
        return {"Statement": json.dumps(statement, separators=(",", ":"))}

    def remove_permission(self, params: Params) -> Config:
        """Remove a statement from a policy."""
        function, qualifier = self._find(params)
        policy = function.policies.get(qualifier, Policy())
        remaining = [s for s in policy.statements if s["Sid"] != params["StatementId"]]
        if len(remaining) == len(policy.statements):
            raise not_found(f"Statement {params['StatementId']} is not found in resource policy.")
        policy.statements = remaining
        self._change_revision(function, qualifier)
        return {}

    def get_policy(self, params: Params) -> Config:
        """Return a policy as a JSON string."""
        function, qualifier = self._state.function(params)
        self._state.check_qualifier(function, qualifier)
        policy = function.policies.get(qualifier)
        if policy is None or not policy.statements:
            raise not_found("The resource you requested does not exist.")
        document = {"Version": "2012-10-17", "Id": "default", "Statement": policy.statements}
        revision = self._revision_id(function, qualifier)
        return {"Policy": json.dumps(document, separators=(",", ":")), "RevisionId": revision}

    def _check_public_access(self, params: Params) -> None:
        """Raise PublicPolicyException if the account forbids a statement like this one.

        The message is that of hashicorp/terraform-provider-aws#39396.
        """
        is_public = params["Principal"] == "*" and not any(params.get(key) for key in RESTRICTIONS)
        if is_public and self._state.blocks_public_access:
            raise AwsError(
                "PublicPolicyException",
                "Lambda blocked the creation of this policy because it would grant public access to your function. "
                "If this is intentional, change your function's BlockPublicPolicy setting to allow public access and "
                "try again.",
            )

    def _find(self, params: Params) -> tuple[Function, str]:
        function, qualifier = self._state.function(params)
        if qualifier == LATEST:
            raise invalid("We currently do not support adding policies for $LATEST.")
        self._state.check_qualifier(function, qualifier)
        self._state.check_revision(params.get("RevisionId"), self._revision_id(function, qualifier))
        return function, qualifier

    def _revision_id(self, function: Function, qualifier: str) -> str:
        """Return the revision ID of a policy, which is that of the function, the version or the alias."""
        if alias := function.aliases.get(qualifier):
            return alias.revision
        return self._state.version(function, qualifier).revision_id(self._state.clock.time())

    def _change_revision(self, function: Function, qualifier: str) -> None:
        if alias := function.aliases.get(qualifier):
            alias.revision = new_id()
        else:
            self._state.version(function, qualifier).new_revision()

    def _principal(self, principal: str) -> Any:
        if principal == "*":
            return "*"
        if principal.isdigit():
            return {"AWS": f"arn:aws:iam::{principal}:root"}
        return {"AWS" if principal.startswith("arn:") else "Service": principal}
