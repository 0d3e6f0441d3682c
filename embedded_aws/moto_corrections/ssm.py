"""Corrections of Systems Manager Parameter Store."""

from embedded_aws.calls import Call
from embedded_aws.errors import AwsError
from embedded_aws.moto_corrections.correction import Corrections, ServiceCorrections

MAX_STANDARD_BYTES = 4096


class SsmCorrections(ServiceCorrections):
    """Limit the size of standard parameters."""

    def corrections(self) -> Corrections:
        """Return the corrections of calls."""
        return {("ssm", "PutParameter"): self._put_parameter}

    def _put_parameter(self, call: Call) -> None:
        """Refuse a value of more than 4 KB in the standard tier. moto accepts any size.

        https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html
        """
        is_standard = call.params.get("Tier", "Standard") == "Standard"
        if is_standard and len(call.params["Value"].encode()) > MAX_STANDARD_BYTES:
            raise AwsError(
                "ValidationException",
                "Standard tier parameters support a maximum parameter value of 4096 characters. "
                "To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier.",
            )
