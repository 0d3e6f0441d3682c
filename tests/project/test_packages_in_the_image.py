"""The Dockerfile accepts every wheel that runs on Lambda, and packages with files that are not valid Python.

The pinned packages have wheels for every Python version and architecture.
"""

import hashlib
import os
import re
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import pytest

from embedded_aws import build_task_root
from embedded_aws.containers import dockerfile
from scripts.projects import CHOICES, PROJECT_TEMPLATE, TEMPLATE
from tests.support.bake import Bake

GLIBC_MINOR = 34  # of Amazon Linux 2023: glibc 2.34
OLDEST_MINOR = 17  # manylinux2014, the oldest that packages for Python 3.12 and newer support
ARCHITECTURES = pytest.mark.parametrize(("architecture", "machine"), [("arm64", "aarch64"), ("amd64", "x86_64")])


class PackageStep:
    """Runs the step of the Dockerfile that installs the packages, on this machine and for an architecture.

    The packages come from a folder of wheels that only contain an empty module.
    """

    def __init__(self, project: Path, folder: Path) -> None:
        stages, _ = dockerfile.read(project, {"BUILDPLATFORM": "linux/amd64"})
        self._command = next(
            instruction.text
            for stage in stages.stages
            for instruction in stage.instructions
            if instruction.name == "RUN" and " uv pip " in instruction.text
        )
        self._wheels = folder / "wheels"
        self._wheels.mkdir()
        self._build = folder / "build"
        self._build.mkdir()

    def add_wheel(self, name: str, platform: str, marker: str = "") -> None:
        """Add a wheel for a platform to the folder, and the package to the requirements."""
        wheel = write_wheel(self._wheels, name, f"py3-none-{platform}", {f"{name}.py": ""})
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        with (self._build / "requirements.txt").open("a", encoding="utf-8") as requirements:
            requirements.write(f"{name}==1.0 {marker} --hash=sha256:{digest}\n")

    def run(self, architecture: str) -> set[str]:
        """Return the names of the installed packages. Raise CalledProcessError if one cannot be installed."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        variables = {"TARGETARCH": architecture, "UV_NO_INDEX": "1", "UV_FIND_LINKS": str(self._wheels), "PATH": path}
        environment = {name: value for name, value in os.environ.items() if not name.startswith("UV_")} | variables
        subprocess.run(["/bin/sh", "-c", self._command], cwd=self._build, env=environment, check=True)
        return {path.stem for path in (self._build / "packages").glob("*.py")}


@pytest.fixture
def package_step(bake: Bake, tmp_path: Path) -> PackageStep:
    return PackageStep(bake().path, tmp_path)


@ARCHITECTURES
def test_every_wheel_for_the_glibc_of_lambda_or_an_older_one_is_accepted(
    package_step: PackageStep, architecture: str, machine: str
) -> None:
    tags = ["manylinux2014", *(f"manylinux_2_{minor}" for minor in range(OLDEST_MINOR, GLIBC_MINOR + 1))]
    for tag in tags:
        package_step.add_wheel(f"needs_{tag}", f"{tag}_{machine}")
    assert package_step.run(architecture) == {f"needs_{tag}" for tag in tags}


@ARCHITECTURES
@pytest.mark.parametrize("platform", ["manylinux_2_35_{machine}", "manylinux_2_17_{other}", "win_amd64"])
def test_a_wheel_that_does_not_run_on_lambda_is_refused(
    package_step: PackageStep, architecture: str, machine: str, platform: str
) -> None:
    other = {"aarch64": "x86_64", "x86_64": "aarch64"}[machine]
    package_step.add_wheel("too_new", platform.format(machine=machine, other=other))
    with pytest.raises(subprocess.CalledProcessError):
        package_step.run(architecture)


@ARCHITECTURES
def test_markers_are_evaluated_for_the_architecture_of_the_image(
    package_step: PackageStep, architecture: str, machine: str
) -> None:
    """pypa/pip#10050: pip evaluates them for the machine on which it runs."""
    for name in ("aarch64", "x86_64"):
        package_step.add_wheel(f"only_{name}", "any", f"; platform_machine == '{name}'")
    assert package_step.run(architecture) == {f"only_{machine}"}


def test_an_unknown_architecture_is_refused(package_step: PackageStep) -> None:
    package_step.add_wheel("package", "any")
    with pytest.raises(subprocess.CalledProcessError):
        package_step.run("riscv64")


@pytest.fixture(scope="module")
def all_requirements(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with the pinned packages of all options, without the Jinja conditions."""
    file = tmp_path_factory.mktemp("requirements") / "requirements.txt"
    file.write_text(re.sub(r"{%.*%}\n", "", (PROJECT_TEMPLATE / "requirements.txt").read_text("utf-8")), "utf-8")
    return file


def select_wheels(requirements: Path, python: str, machine: str) -> subprocess.CompletedProcess[str]:
    """Select the wheels for a version of Python on Lambda like the Dockerfile does, without downloading them.

    Skip the test if the package index cannot be reached.
    """
    command = f"{sys.executable} -m uv pip install --dry-run --only-binary :all: --require-hashes"
    platform = f"--python-version {python} --python-platform {machine}-manylinux_2_{GLIBC_MINOR}"
    target = ["--target", str(requirements.parent / "packages"), "-r", str(requirements)]
    environment = os.environ | {"UV_CACHE_DIR": str(TEMPLATE / ".cache/uv")}
    result = subprocess.run(
        [*command.split(), *platform.split(), *target], env=environment, capture_output=True, encoding="utf-8"
    )
    if "error sending request" in result.stderr:
        warnings.warn("the wheels of the pinned packages are NOT checked without the package index", stacklevel=1)
        pytest.skip("the package index cannot be reached")
    return result


@pytest.mark.parametrize("machine", ["aarch64", "x86_64"])
@pytest.mark.parametrize("python", CHOICES["python_version"])
def test_every_pinned_package_has_a_wheel(all_requirements: Path, python: str, machine: str) -> None:
    result = select_wheels(all_requirements, python, machine)
    assert result.returncode == 0, result.stderr


def test_a_missing_wheel_is_noticed(all_requirements: Path) -> None:
    result = select_wheels(all_requirements, "3.99", "x86_64")
    assert result.returncode == 1
    assert re.search("Wheels are required for `[a-z-]+`", result.stderr)


def write_wheel(folder: Path, name: str, tag: str, files: dict[str, str]) -> Path:
    """Write version 1.0 of a package with these files, and return the path of the wheel."""
    wheel, metadata = folder / f"{name}-1.0-{tag}.whl", f"{name}-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file, content in files.items():
            archive.writestr(file, content)
        archive.writestr(f"{metadata}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{metadata}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        archive.writestr(f"{metadata}/RECORD", "")
    return wheel


def test_a_package_may_contain_templates_that_are_not_valid_python(
    bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"with_templates/__init__.py": "", "with_templates/template.py": "class {{ name }}:\n"}
    wheel = write_wheel(tmp_path, "with_templates", "py3-none-any", files)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    project = bake().copy(tmp_path / "project")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    with (project.path / "requirements.txt").open("a", encoding="utf-8") as requirements:
        requirements.write(f"with-templates==1.0 --hash=sha256:{digest}\n")
    root = build_task_root(project.path, TEMPLATE / ".cache", lambda line: None).path
    assert (root / "with_templates/template.py").exists()
    assert list((root / "with_templates/__pycache__").glob("__init__.*.pyc"))
