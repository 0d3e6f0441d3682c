"""Corrections of IAM."""

from contextlib import suppress
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.iam.models import iam_backends
from moto.iam.responses import IamResponse

from embedded_aws.calls import Call
from embedded_aws.errors import AwsError
from embedded_aws.iam.policy import allows, check_elements
from embedded_aws.iam.roles import Roles, statements_of
from embedded_aws.moto_corrections.correction import Corrections, EditResponse, Patch, ServiceCorrections

MAX_POLICY_CHARACTERS = 10_240


class IamCorrections(ServiceCorrections):
    """Make new roles eventually consistent, check limits and boundaries, and add two operations."""

    def __init__(self, account: str, roles: Roles) -> None:
        super().__init__(account)
        self._roles = roles

    def corrections(self) -> Corrections:
        """Return the corrections of calls."""
        return {
            ("iam", "CreatePolicy"): _check_document,
            ("iam", "CreatePolicyVersion"): _check_document,
            ("iam", "CreateRole"): self._create_role,
            ("iam", "PutRolePermissionsBoundary"): self._check_boundary,
            ("iam", "AttachRolePolicy"): self._record_policy_change,
            ("iam", "DeleteRolePolicy"): self._record_policy_change,
            ("iam", "DetachRolePolicy"): self._record_policy_change,
            ("iam", "PutRolePolicy"): self._put_role_policy,
            ("iam", "UpdateAssumeRolePolicy"): _check_document,
        }

    def patches(self) -> list[Patch]:
        """Return the operations that moto does not implement."""
        return [
            (IamResponse, "add_client_id_to_open_id_connect_provider", add_client_id),
            (IamResponse, "simulate_custom_policy", simulate_custom_policy),
        ]

    def _create_role(self, call: Call) -> EditResponse:
        """Prevent services from assuming a new role for some seconds. moto's roles are usable immediately.

        https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
        """
        self._check_boundary(call)
        _check_document(call)
        return lambda response: self._roles.record_creation(call.params["RoleName"])

    def _check_boundary(self, call: Call) -> None:
        """Refuse a permissions boundary that does not exist. moto accepts it.

        https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutRolePermissionsBoundary.html
        """
        arn = call.params.get("PermissionsBoundary")
        if arn and arn not in iam_backends[self._account]["aws"].managed_policies:
            raise AwsError("NoSuchEntity", f"Scope ARN: {arn} does not exist or is not attachable.", 404)

    def _put_role_policy(self, call: Call) -> None:
        """Refuse inline policies of more than 10,240 characters together, without spaces. moto accepts any length.

        https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
        """
        _check_document(call)
        name = call.params["RoleName"]
        roles = iam_backends[self._account]["aws"].roles.values()
        policies = next((dict(role.policies) for role in roles if role.name == name), {})
        policies[call.params["PolicyName"]] = call.params["PolicyDocument"]
        if sum(len("".join(document.split())) for document in policies.values()) > MAX_POLICY_CHARACTERS:
            message = f"Maximum policy size of {MAX_POLICY_CHARACTERS} bytes exceeded for role {name}"
            raise AwsError("LimitExceeded", message, 409)
        self._record_policy_change(call)

    def _record_policy_change(self, call: Call) -> None:
        """Let services use the former policies for some seconds. A change of moto's roles takes effect immediately."""
        self._roles.record_policy_change(call.params["RoleName"])


def _check_document(call: Call) -> None:
    """Refuse a policy that the embedded AWS cannot evaluate, so that it does not grant or deny the wrong calls."""
    document = call.params.get("PolicyDocument") or call.params["AssumeRolePolicyDocument"]
    with suppress(ValueError, KeyError):  # moto refuses it
        check_elements(statements_of(document))


def add_client_id(self: IamResponse) -> EmptyResult:
    """Add a client ID to an OpenID Connect provider. moto does not implement AddClientIDToOpenIDConnectProvider.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_AddClientIDToOpenIDConnectProvider.html
    """
    provider = self.backend.get_open_id_connect_provider(self._get_param("OpenIDConnectProviderArn"))
    provider.client_id_list.append(self._get_param("ClientID"))
    return EmptyResult()


def simulate_custom_policy(self: IamResponse) -> ActionResult:
    """Evaluate policies and a permissions boundary for each action on each resource. moto does not implement it.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulateCustomPolicy.html
    """
    policies = statements_of(*self._get_param("PolicyInputList", []))
    boundaries = self._get_param("PermissionsBoundaryPolicyInputList", [])
    boundary = statements_of(*boundaries)
    check_elements([*policies, *boundary])
    context = {entry["ContextKeyName"]: entry["ContextKeyValues"][0] for entry in self._get_param("ContextEntries", [])}
    known = {key.lower() for key in context}
    missing = {key for key in _context_keys([*policies, *boundary]) if key.lower() not in known}
    results = []
    for action in self._get_param("ActionNames", []):
        if "*" in action:
            raise AwsError("InvalidInput", f"Invalid action name: {action}")
        for resource in self._get_param("ResourceArns", ["*"]):
            is_within = not boundaries or allows(boundary, action, resource, context=context)
            is_allowed = is_within and allows(policies, action, resource, context=context)
            results.append(
                {
                    "EvalActionName": action,
                    "EvalResourceName": resource,
                    "EvalDecision": "allowed" if is_allowed else "implicitDeny",
                    "MissingContextValues": sorted(missing),
                    "PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": is_within},
                }
            )
    return ActionResult({"EvaluationResults": results, "IsTruncated": False})


def _context_keys(statements: list[dict[str, Any]]) -> set[str]:
    conditions = [condition for statement in statements for condition in statement.get("Condition", {}).values()]
    return {key for condition in conditions for key in condition}
