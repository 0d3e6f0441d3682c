"""Errors as the user sees them: one line that says what happened, and one that says what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigNotFound,
    ConfigParseError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    LoginError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    ResponseStreamingError,
    SSOError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError

ACCESS_DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"}
# AWS returns this message, with AccessDeniedException, for an operation that the Region does not offer (zappa/Zappa#1425).
UNKNOWN_OPERATION = "Unable to determine service/operation name"
QUOTA_REACHED = {"LimitExceeded", "LimitExceededException", "ServiceQuotaExceededException"}
THROTTLED = {
    "RequestLimitExceeded",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
EXPIRED_CREDENTIALS = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
INVALID_CREDENTIALS = {
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
MISSING = {"NoSuchEntity", "ResourceNotFound", "ResourceNotFoundException"}
# AWS compares the time of a request with its own. It allows a difference of five to fifteen minutes.
WRONG_CLOCK = ("RequestTimeTooSkewed", "Signature expired", "Signature not yet current")

# In the messages of Python, of FastAPI about python-multipart, and of pydantic about email-validator.
MISSING_PACKAGE = re.compile(
    r"No module named '([\w.]+)'|\b(python-multipart|email-validator)\"? (?:is not|to be) installed"
)

LONGEST_REASON = 500  # characters; botocore may quote a whole page of HTML
DEBUG_HINT = "Run the same command with --debug to see the traceback."


class Advice(NamedTuple):
    """The two lines about a kind of error. In the message, words in braces are replaced."""

    message: str
    hint: str


UNREADABLE = Advice(
    "A response is incomplete, or AWS did not send it: {reason}",
    "Sign in to the network, and check the proxy if there is one. Then run the same command again to continue.",
)
# Errors without an error code of AWS. The first entry with a class of the error applies.
ADVICE_BY_CLASS: list[tuple[tuple[type[Exception], ...], Advice]] = [
    (
        (NoCredentialsError, PartialCredentialsError),
        Advice(
            "No AWS credentials were found.",
            "Set AWS_PROFILE (or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY), or run: aws configure",
        ),
    ),
    ((ProfileNotFound,), Advice("{reason}.", "Set AWS_PROFILE to a profile from ~/.aws/config.")),
    ((ConfigNotFound, ConfigParseError), Advice("{reason}.", "Correct the configuration of the AWS command line.")),
    ((SSOError, TokenRetrievalError), Advice("Your AWS sign-in has expired: {reason}", "Run: aws sso login")),
    ((LoginError,), Advice("Your AWS sign-in has expired: {reason}", "Run: aws login")),
    (
        (CredentialRetrievalError,),
        Advice("AWS credentials could not be retrieved: {reason}", "Correct the profile in ~/.aws/config, or sign in."),
    ),
    ((IncompleteReadError, ResponseParserError, ResponseStreamingError), UNREADABLE),
    (
        (ConnectionError, HTTPClientError),
        Advice("AWS cannot be reached: {reason}", "Check the network, and the region in deploy.toml."),
    ),
    ((BotoCoreError,), Advice("A call to AWS failed: {reason}", DEBUG_HINT)),
    ((OSError,), Advice("{reason}.", "Fix the cause, then run the same command again.")),
    ((Exception,), Advice("Something unexpected happened: {kind}: {reason}", DEBUG_HINT)),
]
# Errors that AWS responded with.
ADVICE_BY_CODE: list[tuple[set[str], Advice]] = [
    (
        QUOTA_REACHED,
        Advice(
            "{operation} would exceed a quota of AWS: {reason}",
            "Delete what you do not need, or request more in Service Quotas. Then run the same command again.",
        ),
    ),
    (
        THROTTLED,
        Advice(
            "AWS throttled {operation}: {reason}",
            "Wait a minute, then run the same command again. It continues where this one stopped.",
        ),
    ),
    (
        ACCESS_DENIED,
        Advice(
            "AWS denied {operation}: {reason}",
            "Allow that action for your credentials (for GitHub's roles: ./deploy.sh github OWNER/REPO), then try again.",
        ),
    ),
    (
        EXPIRED_CREDENTIALS,
        Advice(
            "Your AWS credentials have expired: {reason}",
            "Sign in again, then run the same command. It continues where this one stopped.",
        ),
    ),
    (
        INVALID_CREDENTIALS,
        Advice(
            "AWS rejected your credentials: {reason}",
            "Sign in again, run aws sts get-caller-identity to see who you are, and check that the Region is enabled.",
        ),
    ),
    (
        CONFLICTS,
        Advice(
            "Another deploy may be running: {operation} failed with {code}: {reason}",
            "Run ./deploy.sh status, then run the same command again.",
        ),
    ),
]


class DeployError(Exception):
    """Ends a command.

    `message` says what happened, `hint` what to do. `details` (such as log lines) are printed above them.
    """

    def __init__(self, message: str, hint: str, *, details: str = "", exit_code: int = 1) -> None:
        super().__init__(message)
        self.message = " ".join(message.split())  # in one line
        self.hint = hint
        self.details = details
        self.exit_code = exit_code


class UsageError(DeployError):
    """A mistake in deploy.toml or in the arguments. Exit code 2."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message, hint, exit_code=2)


def error_code(error: ClientError) -> str:
    """Return AWS's code for this error, such as ResourceNotFoundException."""
    return str(error.response["Error"].get("Code", ""))


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
    if isinstance(error, ClientError):
        advice, reason = _advice_for_response(error), _reason(error)
        return DeployError(
            advice.message.format(operation=error.operation_name, code=error_code(error), reason=reason), advice.hint
        )
    advice = next(advice for classes, advice in ADVICE_BY_CLASS if isinstance(error, classes))
    reason = _reason(error)[:LONGEST_REASON]
    return DeployError(advice.message.format(kind=type(error).__name__, reason=reason), advice.hint)


def _reason(error: Exception) -> str:
    """Return what the error says about its cause."""
    if isinstance(error, ClientError):
        return error.response["Error"].get("Message") or error_code(error)
    if isinstance(error, OSError) and error.strerror:
        return f"The file {error.filename} cannot be used: {error.strerror}" if error.filename else error.strerror
    return f"{error}"


def _advice_for_response(error: ClientError) -> Advice:
    """Return the advice for an error response. Some advice depends on more than the error code."""
    code, reason = error_code(error), _reason(error)
    if UNKNOWN_OPERATION in reason:
        return Advice("{operation} is not available in this Region.", "Set another region in deploy.toml.")
    if any(text in f"{code} {reason}" for text in WRONG_CLOCK):
        return Advice("AWS rejected the time of the request: {reason}", "Correct the clock of this machine.")
    if code in ACCESS_DENIED and "service control policy" in reason:
        return Advice(
            "A service control policy of your AWS organization denies {operation}: {reason}",
            "Ask an administrator of the organization to allow that action, or use another account or Region.",
        )
    may_have_succeeded = code in CONFLICTS | (MISSING if error.operation_name.startswith("Delete") else set())
    if may_have_succeeded and error.response["ResponseMetadata"].get("RetryAttempts"):
        return Advice(
            "{operation} was repeated, because no response arrived, and failed with {code}: {reason}",
            "The first call probably succeeded. Run the same command again to continue.",
        )
    if code.isdecimal():  # botocore uses the HTTP status if the response contains no error code of AWS
        return Advice(
            "{operation} failed with status {code}: {reason}",
            "AWS or a proxy has a temporary problem. Run the same command again to continue.",
        )
    other = Advice("{operation} failed with {code}: {reason}", "Fix the cause, then run the same command again.")
    return next((advice for codes, advice in ADVICE_BY_CODE if code in codes), other)


def rejected_host_advice(body: str, host: str | None) -> str:
    """Return what to do if Starlette's TrustedHostMiddleware sent this response. Otherwise return an empty string."""
    return f"Allow the host {host} in TrustedHostMiddleware." if "Invalid host header" in body else ""


def missing_package_advice(text: str) -> str:
    """Return what to do if the text says that a package is missing in the image. Otherwise return an empty string."""
    match = MISSING_PACKAGE.search(text)
    if not match:
        return ""
    name = match[1] or match[2]
    if "." in name:
        return f"The module {name} is missing in the image: check its name, and that .dockerignore allows it."
    return (
        f"The image does not contain {name}: add the package that provides it to dependencies in "
        "pyproject.toml and run make lock, or allow your own folder in .dockerignore."
    )
