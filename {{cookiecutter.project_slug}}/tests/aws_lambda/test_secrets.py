from tests.helpers import run_python

CODE = """
import sys
from aws_lambda.secrets import load_secrets
load_secrets()
print("aws_lambda.sigv4" in sys.modules)
"""


def test_without_secrets_nothing_is_imported() -> None:
    assert run_python(CODE) == "False\n"
    assert run_python(CODE, SECRET_NAMES="") == "False\n"
