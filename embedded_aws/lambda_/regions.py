"""The features of Lambda that are not available in every Region of the partition aws, as of 2026-11-28."""

from embedded_aws.errors import AwsError, invalid
from embedded_aws.lambda_.deployed_version import Config

# https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html
WITHOUT_FUNCTION_URLS = {
    "ap-east-2", "ap-south-2", "ap-southeast-4", "ap-southeast-5", "ap-southeast-6", "ap-southeast-7",
    "ca-west-1", "eu-central-2", "eu-south-2", "il-central-1", "me-central-1",
}  # fmt: skip
# https://docs.aws.amazon.com/lambda/latest/dg/snapstart.html, for container images
WITHOUT_SNAPSTART = {"ap-east-2", "ap-southeast-6"}


def check_function_urls(region: str) -> None:
    """Raise AccessDeniedException in a Region without function URLs (zappa/Zappa#1425)."""
    if region in WITHOUT_FUNCTION_URLS:
        raise AwsError("AccessDeniedException", "Unable to determine service/operation name to be authorized", 403)


def check_snapstart(region: str, config: Config) -> None:
    """Raise InvalidParameterValueException if a function uses SnapStart in a Region without it.

    Lambda refuses such a function when it is created or changed (aws-samples/bedrock-chat#617).
    The message is not AWS's.
    """
    if region in WITHOUT_SNAPSTART and config["SnapStart"]["ApplyOn"] == "PublishedVersions":
        raise invalid(f"Container images are not supported for SnapStart enabled functions in {region}.")
