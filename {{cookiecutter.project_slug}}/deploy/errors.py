"""Errors as the user sees them: one line that says what happened, and one that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    LoginError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)

ACCESS_DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"}
# AWS returns this message, with AccessDeniedException, for an operation that the Region does not offer (zappa/Zappa#1425).
UNKNOWN_OPERATION = "Unable to determine service/operation name"
THROTTLED = {
    "LimitExceededException",
    "RequestLimitExceeded",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
INVALID_CREDENTIALS = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "RequestExpired",
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
# AWS compares the time of a request with its own. It allows a difference of five to fifteen minutes.
WRONG_CLOCK = ("RequestTimeTooSkewed", "Signature expired", "Signature not yet current")

DEBUG_HINT = "Run the same command with --debug to see the traceback."


class DeployError(Exception):
    """Ends a command.

    `message` says what happened, `hint` what to do. `details` (such as log lines) are printed above them.
    """

    def __init__(self, message: str, hint: str, *, details: str = "", exit_code: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details
        self.exit_code = exit_code


class UsageError(DeployError):
    """A mistake in deploy.toml or in the arguments. Exit code 2."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message, hint, exit_code=2)


def error_code(error: ClientError) -> str:
    """Return AWS's code for this error, such as ResourceNotFoundException."""
    return error.response["Error"].get("Code", "")


@contextmanager
def suppress_errors(*codes: str) -> Iterator[None]:
    """Suppress ClientErrors with one of these codes, such as those that mean "does not exist"."""
    try:
        yield
    except ClientError as error:
        if error_code(error) not in codes:
            raise


def explain(error: Exception) -> DeployError:
    """Return any exception as a DeployError with advice, so that no traceback is printed without --debug."""
    if isinstance(error, DeployError):
        return error
    return _explain_aws(error) if isinstance(error, BotoCoreError | ClientError) else _explain_unexpected(error)


def _explain_aws(error: BotoCoreError | ClientError) -> DeployError:
    code = error_code(error) if isinstance(error, ClientError) else ""
    reason = error.response["Error"].get("Message") or code if isinstance(error, ClientError) else f"{error}"
    match error:
        case NoCredentialsError() | PartialCredentialsError():
            message = "No AWS credentials were found."
            hint = "Set AWS_PROFILE (or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY), or run: aws configure"
        case ProfileNotFound():
            message, hint = f"{reason}.", "Set AWS_PROFILE to a profile from ~/.aws/config."
        case SSOError() | TokenRetrievalError():
            message, hint = f"Your AWS sign-in has expired: {reason}", "Run: aws sso login"
        case LoginError():
            message, hint = f"Your AWS sign-in has expired: {reason}", "Run: aws login"
        case ConnectionError() | HTTPClientError():
            message, hint = f"AWS cannot be reached: {reason}", "Check the network, and the region in deploy.toml."
        case ClientError() if UNKNOWN_OPERATION in reason:
            message = f"{error.operation_name} is not available in this Region."
            hint = "Set another region in deploy.toml."
        case ClientError() if any(text in f"{code} {reason}" for text in WRONG_CLOCK):
            message, hint = f"AWS rejected the time of the request: {reason}", "Correct the clock of this machine."
        case ClientError() if code in THROTTLED:
            message = f"AWS throttled {error.operation_name}: {reason}"
            hint = "Wait a minute, then run the same command again. It continues where this one stopped."
        case ClientError() if code in ACCESS_DENIED and "service control policy" in reason:
            message = f"A service control policy of your AWS organization denies {error.operation_name}: {reason}"
            hint = "Ask an administrator of the organization to allow that action, or use another account or Region."
        case ClientError() if code in ACCESS_DENIED:
            message = f"AWS denied {error.operation_name}: {reason}"
            hint = "Allow that action for your credentials (for GitHub's roles: ./deploy.sh github OWNER/REPO), then try again."
        case ClientError() if code in INVALID_CREDENTIALS:
            message = f"AWS rejected your credentials: {reason}"
            hint = "Sign in again, run aws sts get-caller-identity to see who you are, and check that the Region is enabled."
        case ClientError() if code in CONFLICTS and error.response["ResponseMetadata"].get("RetryAttempts"):
            message = (
                f"{error.operation_name} was repeated, because no response arrived, and failed with {code}: {reason}"
            )
            hint = "The first call probably succeeded. Run the same command again to continue."
        case ClientError() if code in CONFLICTS:
            message = f"Another deploy may be running: {error.operation_name} failed with {code}: {reason}"
            hint = "Run ./deploy.sh status, then run the same command again."
        case ClientError():
            message = f"{error.operation_name} failed with {code}: {reason}"
            hint = "Fix the cause, then run the same command again."
        case _:
            message, hint = f"A call to AWS failed: {reason}", DEBUG_HINT
    return DeployError(message, hint)


def _explain_unexpected(error: Exception) -> DeployError:
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        file = f" {error.filename}" if error.filename else ""
        return DeployError(
            f"The file{file} cannot be used: {error.strerror}." if file else f"{error.strerror}.", DEBUG_HINT
        )
    return DeployError(f"Something unexpected happened: {type(error).__name__}: {text}", DEBUG_HINT)
