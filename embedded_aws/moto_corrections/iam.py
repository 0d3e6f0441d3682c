"""Corrections of IAM."""

from moto.core.responses import EmptyResult
from moto.iam.responses import IamResponse

from embedded_aws.calls import Call
from embedded_aws.iam.roles import Roles
from embedded_aws.moto_corrections.correction import Corrections, EditResponse, Patch, ServiceCorrections


class IamCorrections(ServiceCorrections):
    """Make new roles eventually consistent, and add an operation."""

    def __init__(self, account: str, roles: Roles) -> None:
        super().__init__(account)
        self._roles = roles

    def corrections(self) -> Corrections:
        """Return the corrections of calls."""
        return {("iam", "CreateRole"): self._create_role}

    def patches(self) -> list[Patch]:
        """Return AddClientIDToOpenIDConnectProvider, which moto does not implement."""
        return [(IamResponse, "add_client_id_to_open_id_connect_provider", add_client_id)]

    def _create_role(self, call: Call) -> EditResponse:
        """Prevent services from assuming a new role for some seconds. moto's roles are usable immediately.

        https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
        """
        return lambda response: self._roles.record_creation(call.params["RoleName"])


def add_client_id(self: IamResponse) -> EmptyResult:
    """Add a client ID to an OpenID Connect provider. moto does not implement AddClientIDToOpenIDConnectProvider.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_AddClientIDToOpenIDConnectProvider.html
    """
    provider = self.backend.get_open_id_connect_provider(self._get_param("OpenIDConnectProviderArn"))
    provider.client_id_list.append(self._get_param("ClientID"))
    return EmptyResult()
