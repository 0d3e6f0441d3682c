"""Test that `make demo` deploys a project without AWS or containers, and leaves no process or file when it ends."""

import json
import os
import pty
import re
import signal
import subprocess
from pathlib import Path

import pytest

from scripts import transcript
from scripts.demo import PROJECT_FILES, main
from scripts.projects import CHOICES, MANIFEST, TEMPLATE, Project, generate_project, share_venv
from tests.support.demo import DEMO, TRANSCRIPT, demo_environment, remaining_processes

SECRETS = {"FROM_VARIABLE": "first value", "FROM_FILE": "second value", "ENTERED": "third value"}


def test_the_demo_deploys_the_default_project(tmp_path: Path) -> None:
    result = subprocess.run(
        DEMO, cwd=TEMPLATE, env=demo_environment(tmp_path), capture_output=True, text=True, timeout=240
    )
    assert result.returncode == 0, result.stdout + result.stderr
    transcript_match = re.search(TRANSCRIPT, result.stdout)
    assert transcript_match, result.stdout
    cold_ms, warm_ms = (int(transcript_match[name].replace(",", "")) for name in ("cold", "warm"))
    assert cold_ms > warm_ms
    assert "No AWS account and no container engine was used." in result.stdout
    assert "\x1b" not in result.stdout
    assert after_the_push(transcript.visible_lines(result.stdout)) == after_the_push(
        transcript.read_lines(transcript.PICTURE)
    )
    assert remaining_processes(tmp_path) == []
    assert os.listdir(tmp_path / "temporary") == []


def after_the_push(lines: list[str]) -> list[str]:
    """Return the lines from the third step to the JSON, which do not depend on a container engine.

    test_container_engine.py compares all lines.
    """
    lines = [re.sub(r"\d+ created", "# created", line) for line in transcript.mask_varying_parts(lines)]
    first = next(number for number, line in enumerate(lines) if line.startswith("[3/"))
    return lines[first : lines.index('{"ok":true}') + 1]


@pytest.mark.skipif("alembic" not in CHOICES["migrations"], reason="no option for migrations")
def test_an_item_in_the_database_survives_a_migration(tmp_path: Path) -> None:
    command = [*DEMO, *(f"{option}={CHOICES[option][-1]}" for option in MANIFEST)]
    result = subprocess.run(
        command, cwd=TEMPLATE, env=demo_environment(tmp_path), capture_output=True, text=True, timeout=240
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(TRANSCRIPT, result.stdout), result.stdout
    before, separator, after = result.stdout.partition("The second release gives items a price")
    assert separator
    assert re.search(r"\[4/7\] Migrating database\.\.\. +empty → 0001", before)
    assert re.search(r"--json '.+'\n(\{\"id\":1,\"name\":\"screw\",\"quantity\":3,.+)\}\n", before)
    assert re.search(r"\[4/7\] Migrating database\.\.\. +0001 → 0002", after)
    assert re.search(r'"items":\[\{"id":1,"name":"screw","quantity":3,.+,"price":7\}\]', after)
    assert remaining_processes(tmp_path) == []
    assert os.listdir(tmp_path / "temporary") == []


def rename_package(project: Project, name: str) -> None:
    """Give the package of the service another name, where the image needs it."""
    (project.path / "app").rename(project.path / name)
    project.edit(".dockerignore", "!app\n", f"!{name}\n")
    for file in [*project.path.glob(f"{name}/**/*.py"), project.path / "aws_lambda/application.py"]:
        file.write_text(re.sub(r"from app\b", f"from {name}", file.read_text("utf-8")), "utf-8")


def test_serve_deploys_again_at_enter_and_ends_at_ctrl_c(tmp_path: Path) -> None:
    project = generate_project(tmp_path / "own", {"project_name": "Other API", "architecture": "x86_64"})
    share_venv(project.path)
    rename_package(project, "shop")
    with subprocess.Popen(
        [*DEMO, "--serve", "--project", str(project.path)], cwd=TEMPLATE, env=demo_environment(tmp_path),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as demo:  # fmt: skip
        assert demo.stdin
        assert demo.stdout

        def read_until(text: str) -> str:
            output = ""
            while text not in output:
                line = demo.stdout.readline() if demo.stdout else ""
                assert line, f"ended early:\n{output}"
                output += line
            return output

        output = read_until("./deploy.sh destroy")
        project.edit("shop/routers/health.py", "async def", "async def def")
        demo.stdin.write("\n")
        demo.stdin.flush()
        read_until("SyntaxError")
        project.edit("shop/routers/health.py", "async def def", "async def")
        project.edit("shop/routers/health.py", "async def", "@router.get('/again')\nasync def")
        demo.stdin.write("\n")
        demo.stdin.flush()
        read_until("Deployed other-api")
        (change_folder,) = re.findall(r"^  (cd .+)$", output, re.MULTILINE)
        status = subprocess.run(
            ["/bin/sh", "-c", f"{change_folder} && ./deploy.sh status"],
            env=demo_environment(tmp_path),
            capture_output=True,
            text=True,
        )
        demo.send_signal(signal.SIGINT)
        last_output = demo.stdout.read()
    assert status.returncode == 0, status.stdout + status.stderr
    assert "other-api · prod" in status.stdout + output
    assert "http://127.0.0.1:" in status.stdout
    assert (demo.returncode, last_output) == (0, "Stopped.\n")
    assert remaining_processes(tmp_path) == []
    assert os.listdir(tmp_path / "temporary") == []


@pytest.mark.parametrize("stop_signal", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_no_process_or_file(tmp_path: Path, stop_signal: signal.Signals) -> None:
    with subprocess.Popen(
        DEMO, cwd=TEMPLATE, env=demo_environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdout
        while "[1/" not in demo.stdout.readline():  # the first step of the deploy
            assert demo.poll() is None
        demo.send_signal(stop_signal)
        _, error = demo.communicate(timeout=60)
    assert demo.returncode == 130, error
    assert "demo: stopped" in error
    assert "Traceback" not in error
    assert remaining_processes(tmp_path) == []
    assert os.listdir(tmp_path / "temporary") == []


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("colour=blue", "demo: colour=blue is not an answer. Write name=answer, for example endpoint=http_api. "),
        ("arm64", "demo: arm64 is not an answer. "),
        ("_new_lines=x", "demo: _new_lines=x is not an answer. "),
        ("architecture=mips", "demo: 'mips' is not a choice of architecture. Choices: arm64, x86_64."),
        ("project_slug=My_API", "demo: project_slug is part of the names of AWS resources. It must have "),
        ("project_slug=my/api", "demo: project_slug: 3 to 40 "),
    ],
)
def test_an_invalid_answer_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str, message: str
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert main([answer]) == 1
    error = capsys.readouterr().err
    assert error.startswith(message)
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_missing_container_engine_is_reported_in_one_line(tmp_path: Path) -> None:
    environment = {**demo_environment(tmp_path), "PATH": str(tmp_path)}
    result = subprocess.run(
        [*DEMO, "--engine", "docker"], cwd=TEMPLATE, env=environment, capture_output=True, text=True
    )
    hint = "Start Docker, or omit ENGINE: the demo needs no container engine."
    assert (result.returncode, result.stderr) == (1, f"demo: docker is not installed\n{hint}\n")


@pytest.mark.parametrize(
    ("files", "problem", "hint"),
    [
        ({}, "The folder {} does not exist.", "Specify the folder of a generated project, "),
        ({"deploy.sh": ""}, "{} is not a project of this template: it has no deploy.toml.", "Specify the folder "),
        ({"deploy.toml": ""}, "{} is not a project of this template: it has no deploy.sh.", "Specify the folder "),
        (dict.fromkeys(PROJECT_FILES, "name = "), "{}/deploy.toml is not valid: Invalid value", "Correct it, "),
    ],
)
def test_a_folder_that_is_not_a_project_is_refused_with_advice(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    files: dict[str, str],
    problem: str,
    hint: str,
) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)
    for name, text in files.items():
        (tmp_path / "my api").mkdir(exist_ok=True)
        (tmp_path / "my api" / name).write_text(text)
    assert main(["--serve", "--project", str(tmp_path / "my api")]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("demo: " + problem.format(tmp_path / "my api"))
    assert lines[1].startswith(hint)


def test_answers_for_an_existing_project_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert main(["--serve", "--project", str(tmp_path), "endpoint=http_api"]) == 1
    problem = f"demo: endpoint=http_api applies to a new project, but {tmp_path} is an existing one.\n"
    error = capsys.readouterr().err
    assert error.startswith(f"{problem}Omit one of them. ")
    assert error.count("\n") == 2


def project_with_secrets(tmp_path: Path) -> Project:
    """Generate a project that lists three secrets, and whose home page returns their values in reverse."""
    project = generate_project(tmp_path / "own", {"architecture": "x86_64"})
    share_venv(project.path)
    project.edit("deploy.toml", "secrets = []", f"secrets = {json.dumps(list(SECRETS))}")
    (project.path / ".env").write_text("# values of this machine\nFROM_FILE='second value'\nFROM_VARIABLE=unused\n")
    project.edit("app/routers/health.py", "dict[str, bool]", "dict[str, str]")
    project.edit("app/routers/health.py", "from fastapi", "import os\n\nfrom fastapi")
    project.edit(
        "app/routers/health.py", '{"ok": True}', f"{{name: os.environ[name][::-1] for name in {list(SECRETS)}}}"
    )
    return project


def test_secrets_are_read_from_the_environment_and_the_file_env_and_others_are_entered(tmp_path: Path) -> None:
    project = project_with_secrets(tmp_path)
    environment = {**demo_environment(tmp_path), "FROM_VARIABLE": SECRETS["FROM_VARIABLE"]}
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(TEMPLATE)
        os.execve(DEMO[0], [*DEMO, "--project", str(project.path)], environment)  # noqa: S606
    output = ""
    while True:
        try:
            output += os.read(terminal, 4096).decode()
        except OSError:  # the program has ended
            break
        if output.endswith("Value of ENTERED: "):
            os.write(terminal, f"{SECRETS['ENTERED']}\n".encode())
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, output
    assert "The secret FROM_VARIABLE is read from the environment." in output
    assert f"The secret FROM_FILE is read from {project.path}/.env." in output
    assert f"The secret ENTERED is neither in the environment nor in {project.path}/.env. Enter it below." in output
    assert not [value for value in SECRETS.values() if value in output]
    assert json.dumps({name: value[::-1] for name, value in SECRETS.items()}, separators=(",", ":")) in output
    assert remaining_processes(tmp_path) == []
    assert os.listdir(tmp_path / "temporary") == []


def test_a_missing_secret_is_reported_without_a_terminal(tmp_path: Path) -> None:
    project = project_with_secrets(tmp_path)
    result = subprocess.run(
        [*DEMO, "--project", str(project.path)],
        cwd=TEMPLATE,
        env={**demo_environment(tmp_path), "FROM_VARIABLE": "x"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    file = project.path / ".env"
    problem = f"The secret ENTERED is neither in the environment nor in {file}, and standard input is not a terminal."
    hint = f"Set the variable ENTERED, or write ENTERED=value to {file}."
    assert (result.returncode, result.stderr) == (1, f"demo: {problem}\n{hint}\n")
