"""The Dockerfile accepts every wheel that runs on Lambda, and packages with files that are not valid Python."""

import hashlib
import re
import zipfile
from pathlib import Path

import pytest

from embedded_aws import build_task_root
from scripts.projects import TEMPLATE
from tests.support.bake import Bake

GLIBC_MINOR = 34  # of Amazon Linux 2023: glibc 2.34
OLDEST_MINOR = 17  # manylinux2014, the oldest that packages for Python 3.12 and newer support


@pytest.mark.parametrize("machine", ["aarch64", "x86_64"])
def test_every_wheel_for_the_glibc_of_lambda_or_an_older_one_is_accepted(bake: Bake, machine: str) -> None:
    dockerfile = (bake().path / "Dockerfile").read_text("utf-8")
    (value,) = re.findall(rf'ENV PIP_PLATFORM="([^"]+{machine})"', dockerfile)
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(GLIBC_MINOR, OLDEST_MINOR - 1, -1)]
    assert value.replace("\\\n", "").split() == [*tags, f"manylinux2014_{machine}"]


def test_a_package_may_contain_templates_that_are_not_valid_python(
    bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = tmp_path / "with_templates-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("with_templates/__init__.py", "")
        archive.writestr("with_templates/template.py", "class {{ name }}:\n")
        archive.writestr(
            "with_templates-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: with-templates\nVersion: 1.0\n"
        )
        archive.writestr(
            "with_templates-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("with_templates-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    project = bake().copy(tmp_path / "project")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    with (project.path / "requirements.txt").open("a", encoding="utf-8") as requirements:
        requirements.write(f"with-templates==1.0 --hash=sha256:{digest}\n")
    root = build_task_root(project.path, TEMPLATE / ".cache", lambda line: None).path
    assert (root / "with_templates/template.py").exists()
    assert list((root / "with_templates/__pycache__").glob("__init__.*.pyc"))
