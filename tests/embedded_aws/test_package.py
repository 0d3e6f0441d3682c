"""Test that the modules of embedded_aws import each other without a cycle and do not depend on the tests."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "embedded_aws"


def module_name(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(file): file for file in sorted(PACKAGE.rglob("*.py"))}


def imports(file: Path) -> set[str]:
    """Return the modules that a file imports, including those in functions and TYPE_CHECKING blocks.

    A relative import is returned as "relative", because the package does not use them.
    """
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module if node.level == 0 and node.module else "relative"
            submodules = {f"{module}.{alias.name}" for alias in node.names} & MODULES.keys()
            names |= submodules or {module}
    return names


def sort_modules(graph: dict[str, set[str]]) -> list[str]:
    """Return the modules so that each one follows those that it imports. Raise CycleError."""
    return list(TopologicalSorter(graph).static_order())


def test_modules_import_each_other_without_a_cycle() -> None:
    graph = {name: imports(file) & MODULES.keys() for name, file in MODULES.items()}
    assert len(graph) > 60
    assert sort_modules(graph)[-1] == "embedded_aws.__main__"


def test_a_cycle_is_detected() -> None:
    with pytest.raises(CycleError):
        sort_modules({"a": {"b"}, "b": {"c"}, "c": {"a"}})


def test_the_package_imports_nothing_from_the_tests_or_the_scripts() -> None:
    packages = {name.partition(".")[0] for file in MODULES.values() for name in imports(file)}
    assert not packages & {"relative", "tests", "scripts", "benchmarks"}
