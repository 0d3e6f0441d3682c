import pytest

from tests.aws_lambda.conftest import run_python

MEASURE = """
import gc, os, sys
from aws_lambda.cold_start import faster_imports
with faster_imports():
    from tests.aws_lambda.application import create_app
    create_app()
    during = gc.isenabled()
print(during, gc.isenabled(), gc.get_freeze_count() > 10_000, os.environ.get("PYDANTIC_DISABLE_PLUGINS"))
print("pydantic.v1" in sys.modules)
"""


@pytest.fixture(autouse=True)
def without_plugin_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYDANTIC_DISABLE_PLUGINS", raising=False)


def test_optimizations() -> None:
    assert run_python(MEASURE) == "False True True __all__\nFalse\n"


@pytest.mark.parametrize("value", ["false", "False", "0", "no", "off"])
def test_optimizations_can_be_disabled(value: str) -> None:
    assert run_python(MEASURE, FAST_IMPORT=value) == "True True False None\nTrue\n"


def test_plugins_of_pydantic_can_be_enabled() -> None:
    assert run_python(MEASURE, PYDANTIC_DISABLE_PLUGINS="") == "False True True \nFalse\n"


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
