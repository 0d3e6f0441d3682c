"""Keep the AWS account and the environment variables of this machine away from the tests."""

import os
from collections.abc import Iterator

import pytest

from aws_lambda.jobs import QueuedJob, record_jobs
{% if cookiecutter.migrations == 'alembic' %}
from tests.postgres import NO_DATABASE, new_database, server
{% endif %}

{% if cookiecutter.secrets == 'ssm' %}
VARIABLES = ("DOCS", "FAST_IMPORT", "JOBS_MODULE", "JOBS_QUEUE_URL", "SECRET_NAMES", "SECRETS_PATH", "STAGE")
{% else %}
VARIABLES = ("DOCS", "FAST_IMPORT", "JOBS_MODULE", "JOBS_QUEUE_URL", "SECRET_ID", "SECRET_NAMES", "STAGE")
{% endif %}

for name in list(os.environ):
    if name.startswith("AWS_") or name in VARIABLES:
        del os.environ[name]
# If your settings require a variable or a secret, add a value for the tests here.
os.environ.update(
    AWS_ACCESS_KEY_ID="testing",
    AWS_SECRET_ACCESS_KEY="testing",
    AWS_REGION="us-east-1",
    AWS_DEFAULT_REGION="us-east-1",
    AWS_CONFIG_FILE=os.devnull,
    AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    AWS_EC2_METADATA_DISABLED="true",
)
{% if cookiecutter.migrations == 'alembic' %}
os.environ.setdefault("DATABASE_URL", NO_DATABASE)
{% endif %}


@pytest.fixture(autouse=True)
def queued_jobs() -> Iterator[list[QueuedJob]]:
    """Collect the jobs that a test queues, instead of running them in the background."""
    with record_jobs() as jobs:
        yield jobs
{% if cookiecutter.migrations == 'alembic' %}


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    with server() as url:
        yield url


@pytest.fixture
def empty_database(server_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Create a database for one test and set DATABASE_URL to its URL."""
    with new_database(server_url) as url:
        monkeypatch.setenv("DATABASE_URL", url)
        yield url
{% endif %}
