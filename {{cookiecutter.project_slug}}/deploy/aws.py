"""AWS as the rest of the tool sees it: a client for each service, waiting, and refusals in plain words."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
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
    from mypy_boto3_sts import STSClient

One = TypeVar("One")
Other = TypeVar("Other")

POLL_S = 1.0
ACCESS_DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"}
NOT_IN_REGION = "Unable to determine service/operation name"  # of an AccessDeniedException (zappa/Zappa#1425)
BAD_CREDENTIALS = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
CONFLICTS = {
    "ConflictException",
    "EntityAlreadyExists",
    "PreconditionFailedException",
    "RepositoryAlreadyExistsException",
    "ResourceAlreadyExistsException",
    "ResourceConflictException",
}
RETRIES = {"mode": "standard", "total_max_attempts": 5}


class Aws:
    """The account and Region that the credentials at hand lead to. `sleep` and `clock` (seconds) are for tests."""

{% if cookiecutter.endpoint == 'http_api' %}
    acm: ACMClient
    apigatewayv2: ApiGatewayV2Client
{% endif %}
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
    application_autoscaling: ApplicationAutoScalingClient
{% endif %}
    cloudwatch: CloudWatchClient
{% if cookiecutter.migrations == 'alembic' %}
    ec2: Any  # its types are the largest of all, for three reads
{% endif %}
    ecr: ECRClient
    iam: IAMClient
    lambda_: LambdaClient
    logs: CloudWatchLogsClient
{% if cookiecutter.endpoint == 'http_api' %}
    route53: Route53Client
{% endif %}
{% if cookiecutter.secrets == 'secrets_manager' %}
    secretsmanager: SecretsManagerClient
{% endif %}
    sns: SNSClient
{% if cookiecutter.secrets == 'ssm' %}
    ssm: SSMClient
{% endif %}
    sts: STSClient

    def __init__(
        self, region: str, *, sleep: Callable[[float], None] = time.sleep, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.region = region
        self.sleep = sleep
        self.clock = clock
        self.session = botocore.session.get_session()  # boto3's takes half as long again to import
        if region not in self.session.get_available_regions("lambda", self.session.get_partition_for_region(region)):
            raise UsageProblem(
                f"deploy.toml: region: AWS has no Region {region!r} with Lambda.", "Correct region in deploy.toml."
            )
        self._making_a_client = threading.RLock()  # sessions are not thread-safe; clients are

    def __getattr__(self, name: str) -> Any:
        """The client of that name, made when it is first asked for."""
        if name.startswith("_"):
            raise AttributeError(name)
        with self._making_a_client:
            if name not in self.__dict__:
                self.__dict__[name] = self._client(name.rstrip("_").replace("_", "-"), retries=RETRIES)
        return self.__dict__[name]

    @cached_property
    def invoker(self) -> LambdaClient:
        """For Invoke: outlasts the longest time-out and never repeats a request that may still be running."""
        client: LambdaClient = self._client("lambda", retries={"total_max_attempts": 1}, read_timeout=930)
        return client

    def _client(self, service: Any, **options: Any) -> Any:
        with self._making_a_client:
            try:
                return self.session.create_client(service, region_name=self.region, config=Config(**options))
            except ValueError as error:  # of AWS_ENDPOINT_URL, the one setting that botocore does not check earlier
                raise UsageProblem(f"{error}.", "Correct or unset AWS_ENDPOINT_URL.") from None

    @cached_property
    def _identity(self) -> list[str]:
        return self.sts.get_caller_identity()["Arn"].split(":")

    @property
    def account(self) -> str:
        return self._identity[4]

{% if cookiecutter.endpoint == 'http_api' %}
    @property
    def partition(self) -> str:
        return self._identity[1]

{% endif %}
    def arn(self, service: str, resource: str, *, region: bool = True) -> str:
        """The ARN of something in this account (and, as most things are, in this Region)."""
        return f"arn:{self._identity[1]}:{service}:{self.region if region else ''}:{self.account}:{resource}"

    def wait(self, what: str, done: Callable[[], bool], *, timeout_s: float = 300) -> None:
        """Asks until `done`; raises Problem after `timeout_s`."""
        deadline = self.clock() + timeout_s
        while not done():
            if self.clock() >= deadline:
                raise Problem(f"AWS did not finish {what} within {timeout_s:.0f} s.", "Run ./deploy.sh again to go on.")
            self.sleep(POLL_S)


def at_once(one: Callable[[], One], other: Callable[[], Other]) -> tuple[One, Other]:
    """What both answer; they are asked at the same time."""
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(other)
        return one(), asked.result()


def error_code(error: ClientError) -> str:
    return error.response["Error"].get("Code", "")


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
    code = error_code(error) if isinstance(error, ClientError) else ""
    said = error.response["Error"].get("Message") or code if isinstance(error, ClientError) else f"{error}"
    match error:
        case NoCredentialsError() | PartialCredentialsError():
            what = "No AWS credentials were found."
            fix = "Set AWS_PROFILE (or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY), or run: aws configure"
        case ProfileNotFound():
            what, fix = f"{said}.", "Set AWS_PROFILE to a profile of ~/.aws/config."
        case SSOError() | TokenRetrievalError():
            what, fix = f"The AWS sign-in is no longer valid: {said}", "Run: aws sso login"
        case ConnectionError() | HTTPClientError():
            what, fix = f"AWS cannot be reached: {said}", "Check the network and the region in deploy.toml."
        case ClientError() if NOT_IN_REGION in said:
{% if cookiecutter.endpoint == 'function_url' %}
            what = f"Lambda has no function URLs in this Region: it does not know {error.operation_name}."
{% else %}
            what = f"AWS does not have {error.operation_name} in this Region."
{% endif %}
            fix = "Set another region in deploy.toml."
        case ClientError() if code in ACCESS_DENIED:
            what = f"AWS refused {error.operation_name}: {said}"
            fix = "Allow that action for these credentials, and run the same command again."
        case ClientError() if code in BAD_CREDENTIALS:
            what = f"AWS does not accept these credentials: {said}"
            fix = "Sign in again (aws sts get-caller-identity shows who you are), and see that the region is enabled."
        case ClientError() if code in CONFLICTS:
            what = f"Another deploy came in between: AWS answered {code} to {error.operation_name}: {said}"
            fix = "See ./deploy.sh status, and run it again."
        case ClientError():
            what = f"AWS answered {code} to {error.operation_name}: {said}"
            fix = "Correct what it names, and run it again."
        case _:
            what, fix = f"AWS call failed: {said}", "Run the same command with --debug for the whole story."
    return Problem(what, fix)
