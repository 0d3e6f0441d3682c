import pytest

from aws_lambda.cold_start import is_enabled
from tests.helpers import run_python

MEASURE = """
import gc, sys
from aws_lambda.cold_start import faster_imports
with faster_imports():
    from tests.aws_lambda.application import create_app
    create_app()
    during = gc.isenabled()
print(during, gc.isenabled(), gc.get_freeze_count() > 10_000)
print("pydantic.v1" in sys.modules)
"""


def test_optimizations_apply_by_default() -> None:
    assert run_python(MEASURE) == "False True True\nFalse\n"


def test_optimizations_can_be_disabled() -> None:
    assert run_python(MEASURE, FAST_IMPORT="false") == "True True False\nTrue\n"


@pytest.mark.parametrize(
    ("value", "enabled"),
    [("false", False), ("False", False), ("0", False), ("no", False), ("off", False), ("", True), ("true", True)],
)
def test_values_of_the_switch(monkeypatch: pytest.MonkeyPatch, value: str, enabled: bool) -> None:
    monkeypatch.setenv("FAST_IMPORT", value)
    assert is_enabled() is enabled


def test_garbage_collector_is_enabled_after_an_import_error() -> None:
    code = """
import gc
from aws_lambda.cold_start import faster_imports
try:
    with faster_imports():
        import missing_module
except ModuleNotFoundError:
    print(gc.isenabled())
"""
    assert run_python(code) == "True\n"
