"""AWS as the rest of the tool sees it: one client a service, waiting, and refusals in plain words."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
{% if cookiecutter.endpoint == 'function_url' %}
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
{% endif %}
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
)

from deploy.problem import Problem, UsageProblem

if TYPE_CHECKING:
{% if cookiecutter.endpoint == 'http_api' %}
    from mypy_boto3_acm import ACMClient
    from mypy_boto3_apigatewayv2 import ApiGatewayV2Client
{% endif %}
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
    from mypy_boto3_application_autoscaling import ApplicationAutoScalingClient
{% endif %}
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
{% if cookiecutter.endpoint == 'http_api' %}
    from mypy_boto3_route53 import Route53Client
{% endif %}
{% if cookiecutter.secrets == 'secrets_manager' %}
    from mypy_boto3_secretsmanager import SecretsManagerClient
{% endif %}
    from mypy_boto3_sns import SNSClient
{% if cookiecutter.secrets == 'ssm' %}
    from mypy_boto3_ssm import SSMClient
{% endif %}

POLL_S = 1.0
ACCESS_DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"}
BAD_CREDENTIALS = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}


class Aws:
    """The account and Region that the credentials at hand lead to. `sleep` and `clock` (seconds) are for tests."""

    def __init__(
        self, region: str, *, sleep: Callable[[float], None] = time.sleep, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.region = region
        self.sleep = sleep
        self.clock = clock
        self.session = boto3.Session(region_name=region)
        if region not in self.session.get_available_regions("lambda", self.session.get_partition_for_region(region)):
            raise UsageProblem(
                f"deploy.toml: region: AWS has no Region {region!r} with Lambda.", "Correct region in deploy.toml."
            )
{% if cookiecutter.endpoint == 'http_api' %}
        self.http_api: dict[str, str] = {}  # its id, endpoint and tags, once this run knows them
{% endif %}
        self._making_a_client = threading.Lock()  # boto3 sessions are not thread-safe; clients are

    def _client(self, name: Any, **options: Any) -> Any:
        with self._making_a_client:
            retries = {"mode": "standard", "total_max_attempts": 5}
            try:
                return self.session.client(name, config=Config(**({"retries": retries} | options)))
            except ValueError as error:  # of AWS_ENDPOINT_URL, the one setting that botocore does not check earlier
                raise UsageProblem(f"{error}.", "Correct or unset AWS_ENDPOINT_URL.") from None

{% if cookiecutter.endpoint == 'http_api' %}
    @cached_property
    def acm(self) -> ACMClient:
        return self._client("acm")  # type: ignore[no-any-return]

    @cached_property
    def apigateway(self) -> ApiGatewayV2Client:
        return self._client("apigatewayv2")  # type: ignore[no-any-return]

{% endif %}
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
    @cached_property
    def autoscaling(self) -> ApplicationAutoScalingClient:
        return self._client("application-autoscaling")  # type: ignore[no-any-return]

{% endif %}
    @cached_property
    def cloudwatch(self) -> CloudWatchClient:
        return self._client("cloudwatch")  # type: ignore[no-any-return]

    @cached_property
    def ecr(self) -> ECRClient:
        return self._client("ecr")  # type: ignore[no-any-return]

    @cached_property
    def iam(self) -> IAMClient:
        return self._client("iam")  # type: ignore[no-any-return]

    @cached_property
    def lambda_(self) -> LambdaClient:
        return self._client("lambda")  # type: ignore[no-any-return]

    @cached_property
    def invoker(self) -> LambdaClient:
        """For Invoke: outlasts the longest time-out and never repeats a request that may still be running."""
        return self._client("lambda", retries={"total_max_attempts": 1}, read_timeout=930)  # type: ignore[no-any-return]

    @cached_property
    def logs(self) -> CloudWatchLogsClient:
        return self._client("logs")  # type: ignore[no-any-return]

{% if cookiecutter.endpoint == 'http_api' %}
    @cached_property
    def route53(self) -> Route53Client:
        return self._client("route53")  # type: ignore[no-any-return]

{% endif %}
{% if cookiecutter.secrets == 'secrets_manager' %}
    @cached_property
    def secretsmanager(self) -> SecretsManagerClient:
        return self._client("secretsmanager")  # type: ignore[no-any-return]

{% endif %}
    @cached_property
    def sns(self) -> SNSClient:
        return self._client("sns")  # type: ignore[no-any-return]
{% if cookiecutter.secrets == 'ssm' %}

    @cached_property
    def ssm(self) -> SSMClient:
        return self._client("ssm")  # type: ignore[no-any-return]
{% endif %}

    @cached_property
    def _identity(self) -> str:
        return str(self._client("sts").get_caller_identity()["Arn"])

    @property
    def account(self) -> str:
        return self._identity.split(":")[4]

{% if cookiecutter.endpoint == 'http_api' %}
    @property
    def partition(self) -> str:
        return self._identity.split(":")[1]

{% endif %}
    def arn(self, service: str, resource: str, *, region: bool = True) -> str:
        """The ARN of something in this account (and, as most things are, in this Region)."""
        partition = self._identity.split(":")[1]
        return f"arn:{partition}:{service}:{self.region if region else ''}:{self.account}:{resource}"

{% if cookiecutter.endpoint == 'function_url' %}
    def sign(self, request: AWSRequest, service: str) -> None:
        """Adds a SigV4 signature with the credentials at hand."""
        credentials = self.session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        SigV4Auth(credentials.get_frozen_credentials(), service, self.region).add_auth(request)

{% endif %}
    def wait(self, what: str, done: Callable[[], bool], *, timeout_s: float = 300) -> None:
        """Asks until `done`; raises Problem after `timeout_s`."""
        deadline = self.clock() + timeout_s
        while not done():
            if self.clock() >= deadline:
                raise Problem(f"AWS did not finish {what} within {timeout_s:.0f} s.", "Run ./deploy.sh again to go on.")
            self.sleep(POLL_S)


def error_code(error: ClientError) -> str:
    return error.response["Error"]["Code"]


@contextmanager
def absent_is_none(*codes: str) -> Iterator[None]:
    """For reads: lets "there is no such thing" pass, so that what follows the block can say None."""
    try:
        yield
    except ClientError as error:
        if error_code(error) not in codes:
            raise


def explain(error: BotoCoreError | ClientError) -> Problem:
    """AWS's refusal as what happened and what to do."""
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return Problem(
            "No AWS credentials were found.",
            "Set AWS_PROFILE (or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY), or run: aws configure",
        )
    if isinstance(error, ProfileNotFound):
        return Problem(f"{error}.", "Set AWS_PROFILE to a profile of ~/.aws/config.")
    if isinstance(error, TokenRetrievalError) or "SSO" in type(error).__name__:
        return Problem(f"The AWS sign-in is no longer valid: {error}", "Run: aws sso login")
    if isinstance(error, EndpointConnectionError | ConnectionError):
        return Problem(f"AWS cannot be reached: {error}", "Check the network and the region in deploy.toml.")
    if not isinstance(error, ClientError):
        return Problem(f"AWS call failed: {error}", "Run the same command with --debug for the whole story.")
    code, message = error_code(error), error.response["Error"].get("Message", "")
    if code in ACCESS_DENIED:
        return Problem(
            f"AWS refused {error.operation_name}: {message or code}",
            "Allow that action for these credentials, and run the same command again.",
        )
    if code in BAD_CREDENTIALS:
        return Problem(
            f"AWS does not accept these credentials: {message or code}",
            "Sign in again (aws sts get-caller-identity shows who you are), and see that the region is enabled.",
        )
    return Problem(
        f"AWS answered {code} to {error.operation_name}: {message}", "Correct what it names, and run it again."
    )
