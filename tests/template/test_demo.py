"""Test that `make demo` deploys a project without AWS or containers, and leaves no process or file when it ends."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from scripts import transcript
from scripts.demo import main
from scripts.projects import CHOICES, MANIFEST, TEMPLATE, generate_project, share_venv
from tests.support.demo import DEMO, TRANSCRIPT, demo_environment, remaining_processes


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


def test_serve_deploys_again_at_enter_and_ends_at_ctrl_c(tmp_path: Path) -> None:
    project = generate_project(tmp_path / "own", {"project_name": "Other API", "architecture": "x86_64"})
    share_venv(project.path)
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
        project.edit("app/routers/health.py", "async def", "async def def")
        demo.stdin.write("\n")
        demo.stdin.flush()
        read_until("SyntaxError")
        project.edit("app/routers/health.py", "async def def", "async def")
        project.edit("app/routers/health.py", "async def", "@router.get('/again')\nasync def")
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
        while "./deploy.sh" not in demo.stdout.readline():
            assert demo.poll() is None
        time.sleep(1)
        demo.send_signal(stop_signal)
        _, error = demo.communicate(timeout=30)
    assert demo.returncode == 130
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
    assert (result.returncode, result.stderr) == (1, "demo: docker is not installed\n")
