"""The sample behind Lambda. The tests of the adapter itself are in tests/aws_lambda."""

from tests.helpers import create_client, run_python

# These modules are imported when a request needs them, so that no cold start waits for them.
LAZY_MODULES = ["app.iris", "aws_lambda.sigv4", "boto3", "botocore", "pydantic.v1"]


def test_routes_respond_to_lambda_events() -> None:
    from aws_lambda.handler import handler

    assert create_client(handler).get("/health").json() == {"status": "healthy"}


def test_modules_are_imported_lazily() -> None:
    code = f"import sys, aws_lambda.handler; print([name for name in {LAZY_MODULES} if name in sys.modules])"
    assert run_python(code) == "[]\n"
{% if cookiecutter.cold_starts == 'snapstart' %}


def test_first_request_after_a_restore_is_a_cold_start() -> None:
    code = "import aws_lambda.handler as module; print(module.access_log.cold_start)"
    assert run_python(code, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start") == "True\n"
{% elif cookiecutter.cold_starts == 'provisioned_concurrency' %}


def test_first_request_to_a_provisioned_environment_is_not_a_cold_start() -> None:
    code = "import aws_lambda.handler as module; print(module.access_log.cold_start)"
    assert run_python(code, AWS_LAMBDA_INITIALIZATION_TYPE="provisioned-concurrency") == "False\n"
{% endif %}
