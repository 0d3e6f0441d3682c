"""Optimizations that shorten INIT. Set FAST_IMPORT = "false" under [environment] in deploy.toml to disable all of them.

Each percentage below is the share of INIT that an optimization saves. Each was measured separately, compared with the
same service without that one optimization (benchmarks/ in the repository of the template).
"""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from typing import Any

{% if cookiecutter.cold_starts == 'snapstart' %}
# The type of environments that Lambda starts for a snapshot, before requests arrive.
WARM_UP_TYPE = "snap-start"
{% elif cookiecutter.cold_starts == 'provisioned_concurrency' %}
# The type of environments that Lambda starts before requests arrive. In other environments, a request has to wait.
WARM_UP_TYPE = "provisioned-concurrency"
{% endif %}
# Within these packages, Python 3.15 imports a module when something first uses it. The template is tested with them.
# Do not add a library that relies on the side effects of an import: OpenTelemetry, for example, registers the messages of
# its protocol in modules that nothing else uses.
LAZY_LIBRARIES = {
    "annotated_types",
    "anyio",
    "asyncio",
    "concurrent",
    "fastapi",
    "importlib",
    "mangum",
    "pydantic",
    "pydantic_core",
    "pydantic_settings",
    "ssl",
    "starlette",
    "subprocess",
    "typing_inspection",
    "zipfile",
}
# What these packages import lazily. Other packages, such as itsdangerous, are optional dependencies of theirs: if one is
# missing, the version must not start. The API of OpenTelemetry is a dependency of FastAPI.
LAZILY_IMPORTED = LAZY_LIBRARIES | sys.stdlib_module_names | {"opentelemetry"}


def is_off(variable: str) -> bool:
    """Return True if an environment variable switches something off."""
    return os.environ.get(variable, "").lower() in ("false", "0", "no", "off")


def is_enabled() -> bool:
    """Return False if FAST_IMPORT switches the optimizations off."""
    return not is_off("FAST_IMPORT")


{% if cookiecutter.cold_starts != 'accept' %}
def is_warmed_up() -> bool:
    """Return True if Lambda starts this environment before requests arrive."""
    return os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == WARM_UP_TYPE


{% endif %}
@contextmanager
def faster_imports() -> Iterator[None]:
    """Apply the optimizations to the imports inside the `with` block."""
    if not is_enabled():
        yield
        return
    # Saves 2% of INIT with Python 3.15: remove the zip file of the standard library, which does not exist, and for which
    # importlib.metadata would import zipfile.
    sys.path[:] = [entry for entry in sys.path if not entry.endswith(".zip") or os.path.exists(entry)]
    gc.disable()  # Saves 9% of INIT (with gc.freeze() below): imports create many objects and hardly any garbage.
    try:
        with lazy_imports():
            if find_spec("fastapi"):
                import_fastapi()
            yield
        gc.freeze()  # Later collections skip the objects that exist now.
    finally:
        gc.enable()


@contextmanager
def lazy_imports() -> Iterator[None]:
{% if cookiecutter.cold_starts == 'accept' %}
    """Make imports lazy inside the `with` block, with Python 3.15 (PEP 810). Saves 17% of INIT."""
    if sys.version_info[:2] != (3, 15) or not is_enabled():
        yield
        return
{% else %}
    """Make imports lazy inside the `with` block, with Python 3.15 (PEP 810), if a request may be waiting.

    This saves 17% of INIT.
    """
    if sys.version_info[:2] != (3, 15) or not is_enabled() or is_warmed_up():
        yield
        return
{% endif %}
    mode, import_filter = sys.get_lazy_imports(), sys.get_lazy_imports_filter()
    try:
        sys.set_lazy_imports_filter(is_lazy)
        sys.set_lazy_imports("all")
        yield
    finally:
        sys.set_lazy_imports(mode)
        sys.set_lazy_imports_filter(import_filter)


def is_lazy(importer: str | None, module: str, names: object) -> bool:
    """Return True for an import within LAZY_LIBRARIES, and for one that the importing module marks as lazy.

    Python calls this for each import at the top of a module. All other modules are imported as usual, so that a missing
    package prevents the start of a version and not only the requests that need it.
    """
    is_library = importer is not None and importer.partition(".")[0] in LAZY_LIBRARIES
    if is_library and module.partition(".")[0] in LAZILY_IMPORTED:
        return True
    # The lowest bit of the argument of IMPORT_NAME stands for the keyword `lazy` (Lib/dis.py of CPython 3.15).
    frame = sys._getframe(1)
    has_keyword = frame.f_code.co_code[frame.f_lasti + 1] & 1
    return bool(has_keyword) or module in frame.f_globals.get("__lazy_modules__", ())


def import_fastapi() -> None:
    """Import FastAPI without building its OpenAPI models and without pydantic.v1.

    This relies on details of FastAPI and pydantic. The tests of the template compare the documentation, responses and
    errors of a service with and without it.
    """
    # Saves 18% of INIT: build FastAPI's models of the OpenAPI document when the document is requested. The modules
    # applications and routing import or list all others, so that these are attributes of their packages as usual.
    with deferred_models():
        import fastapi.applications
        import fastapi.openapi.models
        import fastapi.routing  # noqa: F401

    # Saves 7% of INIT: FastAPI imports pydantic.v1 only to recognize its models. If nothing else imported it, there
    # are none.
    with suppress(ImportError, AttributeError):  # in another version of FastAPI
        shared: Any = import_module("fastapi._compat.shared")
        is_v1_model = shared.is_pydantic_v1_model_class
        shared.is_pydantic_v1_model_class = lambda cls: "pydantic.v1" in sys.modules and is_v1_model(cls)


@contextmanager
def deferred_models() -> Iterator[None]:
    """Build the pydantic models that are declared inside the `with` block when they are first used."""
    from pydantic import BaseModel

    rebuild = BaseModel.__dict__["model_rebuild"]

    def rebuild_if_used(cls: type[BaseModel], /, **options: Any) -> Any:
        """Skip the calls without options, at the end of fastapi.openapi.models. The first use of a model passes some."""
        return rebuild.__get__(None, cls)(**options) if options else None

    BaseModel.model_config["defer_build"] = True
    BaseModel.model_rebuild = classmethod(rebuild_if_used)  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        BaseModel.model_rebuild = rebuild  # type: ignore[method-assign]
        del BaseModel.model_config["defer_build"]
