"""Test the lazy imports of Python 3.15 in aws_lambda/cold_start.py. Other versions of Python skip these tests.

test_cold_start.py compares documents, responses and errors with and without them. All other tests that start a service
use them too.
"""

import sys
from pathlib import Path

import pytest

from scripts.projects import Project
from tests.support.bake import Bake

pytestmark = pytest.mark.skipif(sys.version_info < (3, 15), reason="Python imports lazily since version 3.15")

ALEMBIC = {"migrations": "alembic"}
NO_DATABASE = {"DATABASE_URL": "postgresql://none.invalid/none"}
ON_DEMAND = "on-demand"
INITIALIZATION_TYPES = {"provisioned_concurrency": "provisioned-concurrency", "snapstart": "snap-start"}
IMPORT_HANDLER = "import sys, aws_lambda.handler"


# Eight threads use everything that the modules of the libraries import lazily, each in another order.
USE_IN_THREADS = """
import sys
from random import Random
from threading import Barrier, Thread
import aws_lambda.handler
from aws_lambda.cold_start import LAZY_LIBRARIES

barrier = Barrier(8)
errors = []
before = len(sys.modules)

def use_all(seed):
    modules = [module for name, module in [*sys.modules.items()] if name.partition(".")[0] in LAZY_LIBRARIES]
    names = [(module, name) for module in modules for name in [*vars(module)]]
    Random(seed).shuffle(names)
    barrier.wait()
    for module, name in names:
        try:
            getattr(module, name)
        except Exception as error:
            errors.append(repr(error))

sys.setswitchinterval(1e-5)
threads = [Thread(target=use_all, args=(seed,)) for seed in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert len(sys.modules) > before + 100
print(errors)
"""


def modules_after_init(project: Project, initialization_type: str = ON_DEMAND, **environment: str) -> set[str]:
    """Return the names of the modules that are imported when the first request arrives."""
    environment = NO_DATABASE | {"AWS_LAMBDA_INITIALIZATION_TYPE": initialization_type} | environment
    return {*project.run(["python", "-c", f"{IMPORT_HANDLER}; print(*sys.modules)"], env=environment).stdout.split()}


def test_libraries_import_later_what_init_does_not_need(bake: Bake) -> None:
    lazy, eager = modules_after_init(bake()), modules_after_init(bake(), FAST_IMPORT="false")
    assert len(lazy) < 0.8 * len(eager)
    assert "fastapi.openapi.docs" in eager - lazy
    assert "app.routers.predict" in lazy


def test_the_mode_is_restored_before_the_first_request(bake: Bake) -> None:
    code = f"{IMPORT_HANDLER}; print(sys.get_lazy_imports(), sys.get_lazy_imports_filter())"
    assert bake().run(["python", "-c", code]).stdout == "normal None\n"


def test_the_mode_is_restored_after_an_error(bake: Bake) -> None:
    code = """
import sys
from aws_lambda.cold_start import faster_imports
try:
    with faster_imports():
        import missing_package
except ModuleNotFoundError:
    print(sys.get_lazy_imports(), sys.get_lazy_imports_filter())
"""
    assert bake().run(["python", "-c", code]).stdout == "normal None\n"


def test_the_modules_of_the_service_are_imported_as_they_are_written(bake: Bake, tmp_path: Path) -> None:
    project = bake().copy(tmp_path)
    (project.path / "app/registration.py").write_text("import wave\nREGISTERED = True\n", "utf-8")
    project.edit("app/main.py", "from fastapi", "import app.registration\nfrom fastapi")
    assert {"app.registration", "wave"} <= modules_after_init(project)


def test_a_missing_package_prevents_the_start(bake: Bake, tmp_path: Path) -> None:
    project = bake().copy(tmp_path)
    project.edit("app/main.py", "from fastapi", "import missing_package\nfrom fastapi")
    result = project.run(["python", "-c", IMPORT_HANDLER], check=False)
    assert result.stderr.endswith("ModuleNotFoundError: No module named 'missing_package'\n")


def test_a_missing_package_of_a_library_prevents_the_start(bake: Bake, tmp_path: Path) -> None:
    project = bake().copy(tmp_path)
    missing = "import sys\nsys.modules['itsdangerous'] = None\n"
    project.edit(
        "app/main.py",
        "from fastapi",
        f"{missing}from starlette.middleware.sessions import SessionMiddleware\nfrom fastapi",
    )
    result = project.run(["python", "-c", IMPORT_HANDLER], check=False)
    assert "ModuleNotFoundError: import of itsdangerous halted" in result.stderr


# With many names, the instruction of the import has a longer argument.
MANY_NAMES = "; ".join(f"name_{number} = {number}" for number in range(300))


@pytest.mark.parametrize(
    "mark", ["lazy import wave", f"{MANY_NAMES}\nlazy import wave", "__lazy_modules__ = ['wave']\nimport wave"]
)
@pytest.mark.parametrize("cold_starts", ["accept", *INITIALIZATION_TYPES])
def test_a_module_can_mark_imports_as_lazy(bake: Bake, tmp_path: Path, mark: str, cold_starts: str) -> None:
    project = bake(cold_starts=cold_starts).copy(tmp_path)
    (project.path / "app/marks_imports.py").write_text(f"{mark}\nimport eager_module\n", "utf-8")
    (project.path / "eager_module.py").write_text("", "utf-8")
    project.edit("app/main.py", "from fastapi", "import app.marks_imports\nfrom fastapi")
    modules = modules_after_init(project)
    assert "eager_module" in modules
    assert "wave" not in modules
    if cold_starts != "accept":
        assert "wave" in modules_after_init(project, INITIALIZATION_TYPES[cold_starts])
        assert "wave" in modules_after_init(project, INITIALIZATION_TYPES[cold_starts], FAST_IMPORT="false")


@pytest.mark.parametrize("cold_starts", INITIALIZATION_TYPES)
def test_everything_is_imported_before_requests_arrive(bake: Bake, cold_starts: str) -> None:
    project = bake(**ALEMBIC, cold_starts=cold_starts)
    needed = {"app.tables", "fastapi.openapi.docs", "psycopg", "sqlalchemy.dialects.postgresql.psycopg"}
    assert needed <= modules_after_init(project, INITIALIZATION_TYPES[cold_starts])
    assert not needed & modules_after_init(project)


def test_lazy_imports_can_resolve_a_cycle_before_requests_arrive(bake: Bake, tmp_path: Path) -> None:
    project = bake(cold_starts="snapstart").copy(tmp_path)
    (project.path / "app/first.py").write_text("lazy from app.second import Second\nclass First: ...\n", "utf-8")
    (project.path / "app/second.py").write_text("from app.first import First\nclass Second(First): ...\n", "utf-8")
    project.edit("app/main.py", "from fastapi", "import app.second\nfrom fastapi")
    assert {"app.first", "app.second"} <= modules_after_init(project, "snap-start")


def test_sqlalchemy_must_be_imported_completely(bake: Bake, tmp_path: Path) -> None:
    """It registers its events in modules that nothing else uses. Without them, no table can be declared."""
    code = "from aws_lambda.handler import handler; from app.tables import Item; print(Item.__tablename__)"
    project = bake(**ALEMBIC).copy(tmp_path)
    assert project.run(["python", "-c", code], env=NO_DATABASE).stdout == "items\n"
    project.edit("app/routers/items.py", '"app.tables", ', "")  # import the tables during INIT
    assert project.run(["python", "-c", code], env=NO_DATABASE).stdout == "items\n"
    project.edit("aws_lambda/cold_start.py", '    "starlette",\n', '    "sqlalchemy",\n    "starlette",\n')
    result = project.run(["python", "-c", code], env=NO_DATABASE, check=False)
    assert "InvalidRequestError: No such event 'before_configured'" in result.stderr


def test_opentelemetry_must_be_imported_completely(bake: Bake, tmp_path: Path) -> None:
    """It registers the messages of its protocol in modules that nothing else uses. Without them, it sends no data."""
    project = bake().copy(tmp_path)
    use_message = (
        "from opentelemetry.proto.collector.trace.v1 import trace_service_pb2\n"
        "trace_service_pb2.ExportTraceServiceRequest()\n"
    )
    project.edit("app/main.py", "from fastapi", f"{use_message}from fastapi")
    project.run(["python", "-c", IMPORT_HANDLER])
    project.edit("aws_lambda/cold_start.py", '    "starlette",\n', '    "opentelemetry",\n    "starlette",\n')
    result = project.run(["python", "-c", IMPORT_HANDLER], check=False)
    assert "TypeError: Couldn't build proto file" in result.stderr


@pytest.mark.parametrize("name", ["exception_handlers", "openapi.docs", "openapi.utils", "security.http", "responses"])
def test_a_module_of_fastapi_is_an_attribute_without_an_import_of_its_own(
    bake: Bake, tmp_path: Path, name: str
) -> None:
    project = bake().copy(tmp_path)
    project.edit("app/main.py", "from fastapi", f"import fastapi\nprint(fastapi.{name}.__name__)\nfrom fastapi")
    assert project.run(["python", "-c", IMPORT_HANDLER]).stdout == f"fastapi.{name}\n"


def test_threads_can_use_lazy_imports_at_the_same_time(bake: Bake) -> None:
    assert bake().run(["python", "-c", USE_IN_THREADS], timeout_s=60).stdout == "[]\n"


def test_a_library_can_be_excluded(bake: Bake, tmp_path: Path) -> None:
    project = bake().copy(tmp_path)
    assert "fastapi.openapi.docs" not in modules_after_init(project)
    project.edit("aws_lambda/cold_start.py", '    "fastapi",\n', "")
    assert "fastapi.openapi.docs" in modules_after_init(project)
