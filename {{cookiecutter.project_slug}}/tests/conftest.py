"""Nothing of this machine's own AWS account or service settings reaches a test."""

import os
{% if cookiecutter.migrations == 'alembic' %}

from tests.postgres import NONE
{% endif %}

OURS = ("STAGE", "DOCS", "FAST_IMPORT")
for name in [name for name in os.environ if name.startswith(("AWS_", "SECRET")) or name in OURS]:
    del os.environ[name]
os.environ.update(  # a variable or secret that Settings requires gets its value for the tests here too
    AWS_ACCESS_KEY_ID="testing",
    AWS_SECRET_ACCESS_KEY="testing",
    AWS_REGION="us-east-1",
    AWS_DEFAULT_REGION="us-east-1",
    AWS_CONFIG_FILE=os.devnull,
    AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    AWS_EC2_METADATA_DISABLED="true",
    AWS_LAMBDA_FUNCTION_NAME="my-function",  # the service starts as on Lambda
)
{% if cookiecutter.migrations == 'alembic' %}
os.environ.setdefault("DATABASE_URL", NONE)
{% endif %}
