"""Test that tests import only shared helpers, and that programs import nothing from the tests."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.projects import TEMPLATE


def imported_modules(file: Path) -> Iterator[str]:
    """Iterate over the full names of the modules and names that a file imports, also within functions."""
    package = file.relative_to(TEMPLATE).parent.parts
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*parents, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def forbidden_imports(folder: str, is_forbidden: Callable[[str], bool]) -> list[str]:
    """Return the forbidden imports of all Python files in a folder of this repository."""
    files = sorted((TEMPLATE / folder).rglob("*.py"))
    assert files
    return [
        f"{file.relative_to(TEMPLATE)} imports {module}"
        for file in files
        for module in imported_modules(file)
        if is_forbidden(module)
    ]


def is_test_module(module: str) -> bool:
    package, *names = module.split(".")
    return package == "tests" and any(name == "conftest" or name.startswith("test_") for name in names)


def test_no_test_imports_from_a_conftest_or_from_another_test_module() -> None:
    assert forbidden_imports("tests", is_test_module) == []


@pytest.mark.parametrize(
    ("folder", "packages"),
    [
        ("scripts", ["tests"]),
        ("benchmarks", ["tests"]),
        ("embedded_aws", ["tests", "scripts", "benchmarks"]),
    ],
)
def test_a_package_does_not_import_from_the_packages_that_use_it(folder: str, packages: list[str]) -> None:
    assert forbidden_imports(folder, lambda module: module.partition(".")[0] in packages) == []
