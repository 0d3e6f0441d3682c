"""Corrections of CloudWatch Logs."""

from moto.logs.models import logs_backends

from embedded_aws.calls import Call
from embedded_aws.errors import AwsError
from embedded_aws.moto_corrections.correction import Corrections, ServiceCorrections

# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
RETENTION_DAYS = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
)  # fmt: skip


class LogsCorrections(ServiceCorrections):
    """Validate ARNs and retention periods."""

    def corrections(self) -> Corrections:
        """Return the corrections of calls."""
        return {
            ("logs", "PutRetentionPolicy"): self._put_retention_policy,
            **{
                ("logs", operation): self._check_tagged_resource
                for operation in ("ListTagsForResource", "TagResource", "UntagResource")
            },
        }

    def _check_tagged_resource(self, call: Call) -> None:
        """Refuse an ARN that ends in ":*" and that of an unknown log group. moto accepts both.

        https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_ListTagsForResource.html
        """
        arn = str(call.params.get("resourceArn"))
        if arn.endswith("*"):
            raise AwsError(
                "InvalidParameterException",
                f"1 validation error detected: Value '{arn}' at 'resourceArn' failed to satisfy constraint: "
                r"Member must satisfy regular expression pattern: [\w+=/:,.@-]*",
            )
        name = arn.partition(":log-group:")[2]
        if name and name not in logs_backends[self._account][call.region].groups:
            raise AwsError("ResourceNotFoundException", "The specified log group does not exist.")

    def _put_retention_policy(self, call: Call) -> None:
        """Accept only the days in RETENTION_DAYS. moto accepts any number."""
        days = call.params.get("retentionInDays")
        if days not in RETENTION_DAYS:
            allowed = ", ".join(map(str, RETENTION_DAYS))
            raise AwsError(
                "InvalidParameterException",
                f"1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: "
                f"Member must satisfy enum value set: [{allowed}]",
            )
