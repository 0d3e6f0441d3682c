"""Connect to PostgreSQL without parts of the password in any error."""

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

# An "@" or "/" in the password would make the driver use a part of the password as the name of a host or a database.
URL = re.compile(r"postgres(ql)?://([^@/]*@)?[^@/]*(/[^@?]*)?(\?.*)?", re.DOTALL)


class DatabaseUrlError(ValueError):
    """DATABASE_URL is not valid. The message contains no part of it."""


def connect(url: str, **options: Any) -> "psycopg.Connection[Any]":
    """Open a connection with these options of libpq. Raise DatabaseUrlError if the URL is not valid.

    The scheme may name a driver of SQLAlchemy, as in postgresql+psycopg://.
    """
    import psycopg  # Import the driver with the first connection, so that no cold start waits for it.

    url = re.sub(r"^(postgres(ql)?)\+\w+://", r"\1://", url)
    if not url.startswith(("postgresql://", "postgres://")):
        raise DatabaseUrlError("DATABASE_URL must start with postgresql://")
    if URL.fullmatch(url):
        with suppress(psycopg.ProgrammingError):  # its message contains parts of the URL, and so of the password
            return psycopg.connect(url, **options)
    raise DatabaseUrlError("DATABASE_URL is not a valid URL: percent-encode special characters in it")


def failed_after_password(error: Exception) -> bool:
    """Return True if a connection failed after the server had received the password.

    libpq reports no SQLSTATE for a failed connection, and the message may be in any language. If the host has several
    addresses, psycopg describes only the last attempt, so any of them may have failed after the password.
    """
    is_one_of_several = "Multiple connection attempts failed" in str(error)
    return is_one_of_several or bool(getattr(getattr(error, "pgconn", None), "used_password", False))
