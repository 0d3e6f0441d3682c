"""Errors that AWS services respond with."""


class AwsError(Exception):
    """An error response. Operations raise it, and the gateway serializes it for the protocol of the service.

    `members` are additional members of the response, such as Reason.
    """

    def __init__(self, code: str, message: str, status: int = 400, **members: object) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.members = members


def invalid(message: str) -> AwsError:
    """Return Lambda's InvalidParameterValueException."""
    return AwsError("InvalidParameterValueException", message)


def not_found(message: str) -> AwsError:
    """Return Lambda's ResourceNotFoundException."""
    return AwsError("ResourceNotFoundException", message, 404)


def conflict(message: str) -> AwsError:
    """Return Lambda's ResourceConflictException."""
    return AwsError("ResourceConflictException", message, 409)


def revision_mismatch() -> AwsError:
    """Return Lambda's PreconditionFailedException for a wrong RevisionId."""
    return AwsError(
        "PreconditionFailedException",
        "The Revision Id provided does not match the latest Revision Id. "
        "Call the GetFunction/GetAlias API to retrieve the latest Revision Id",
        412,
    )
