"""SnapStart: Lambda imports the service once, takes a snapshot, and restores each execution environment from it."""

import os
import random
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module

from snapshot_restore_py import register_after_restore  # type: ignore[import-untyped]

from aws_lambda.cold_start import is_warmed_up

# True before and after a restore. False outside Lambda and for the unpublished version $LATEST, which has no snapshot.
USES_SNAPSHOT = is_warmed_up()


class SecretsNotLoadedError(Exception):
    """The service could not be imported for the snapshot, probably because it needs a secret."""


def on_restore(function: Callable[[], object]) -> None:
    """Call the function after each restore, before the first request. Without a snapshot, call it now.

    Functions are called in the order of their registration and may take 10 s in total. An exception prevents the
    execution environment from serving requests.
    """
    if USES_SNAPSHOT:
        register_after_restore(function)
    else:
        function()


def prepare_secrets() -> None:
    """Import what load_secrets() needs, so that no restore has to wait."""
    if USES_SNAPSHOT and os.environ.get("SECRET_NAMES"):
        import_module("aws_lambda.{{ 'parameter_store' if cookiecutter.secrets == 'ssm' else 'secrets_manager' }}")
        prepare_aws_calls()


def prepare_aws_calls() -> None:
    """Import what call_aws() needs and read the certificates of the system, so that no call after a restore has to wait."""
    if USES_SNAPSHOT:
        import_module("aws_lambda.container_credentials")
        import_module("encodings.idna")  # Python looks up the address of AWS with it
        import_module("aws_lambda.sigv4").tls_context()


def seed_random_generators() -> None:
    """Seed the generators of Python and OpenSSL. Otherwise all environments could generate the same numbers.

    https://docs.aws.amazon.com/lambda/latest/dg/snapstart-uniqueness.html
    """
    random.seed()
    ssl.RAND_add(os.urandom(32), 32)


@contextmanager
def explain_import_errors() -> Iterator[None]:
    """Add advice to an exception in the `with` block, if it may have been raised because secrets are not loaded yet."""
    try:
        yield
    except Exception as error:
        secrets = os.environ.get("SECRET_NAMES")
        if USES_SNAPSHOT and secrets:
            raise SecretsNotLoadedError(
                f"{type(error).__name__}: {error}\n"
                f"Secrets ({secrets}) are not set while the service is imported for the SnapStart snapshot, so that "
                "no snapshot contains them. If the service needs a secret during the import, read it when a request "
                "needs it, for example with get_settings(), or set snapstart = false in deploy.toml."
            ) from error
        raise


on_restore(seed_random_generators)
