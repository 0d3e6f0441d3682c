"""Does `make demo` show a stranger, on a machine with nothing but Python, a deploy that ends in JSON from a URL?"""

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


def test_default_answers(tmp_path: Path) -> None:
    done = subprocess.run(
        DEMO, cwd=TEMPLATE, env=demo_environment(tmp_path), capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(TRANSCRIPT, done.stdout)
    assert found, done.stdout
    assert int(found["cold"].replace(",", "")) > int(found["warm"].replace(",", ""))
    assert "No AWS account and no container engine was used." in done.stdout
    assert "\x1b" not in done.stdout
    assert after_the_push(transcript.visible_lines(done.stdout)) == after_the_push(
        transcript.read_lines(transcript.PICTURE)
    )
    assert remaining_processes(tmp_path) == []
    assert os.listdir(tmp_path / "temporary") == []


def after_the_push(lines: list[str]) -> list[str]:
    """Return the lines that a demo prints with and without a container engine: from the third step to the JSON.

    The third step creates the repository, or the second one if it builds an image. test_docker.py compares all lines.
    """
    lines = [re.sub(r"\d+ created", "# created", line) for line in transcript.mask_varying_parts(lines)]
    first = next(number for number, line in enumerate(lines) if line.startswith("[3/"))
    return lines[first : lines.index('{"ok":true}') + 1]


@pytest.mark.skipif("alembic" not in CHOICES["migrations"], reason="cannot be chosen")
def test_with_a_database_an_item_outlives_a_release_that_migrates_it(tmp_path: Path) -> None:
    command = [*DEMO, *(f"{option}={CHOICES[option][-1]}" for option in MANIFEST)]
    done = subprocess.run(
        command, cwd=TEMPLATE, env=demo_environment(tmp_path), capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(TRANSCRIPT, done.stdout), done.stdout
    before, said, after = done.stdout.partition("The second release gives items a price")
    assert said
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

        def heard(last: str) -> str:
            said = ""
            while last not in said:
                line = demo.stdout.readline() if demo.stdout else ""
                assert line, f"ended early:\n{said}"
                said += line
            return said

        said = heard("./deploy.sh destroy")
        project.edit("app/routers/health.py", "async def", "async def def")
        demo.stdin.write("\n")
        demo.stdin.flush()
        heard("SyntaxError")
        project.edit("app/routers/health.py", "async def def", "async def")
        project.edit("app/routers/health.py", "async def", "@router.get('/again')\nasync def")
        demo.stdin.write("\n")
        demo.stdin.flush()
        heard("Deployed other-api")
        (there,) = re.findall(r"^  (cd .+)$", said, re.MULTILINE)
        tried = subprocess.run(
            ["/bin/sh", "-c", f"{there} && ./deploy.sh status"],
            env=demo_environment(tmp_path),
            capture_output=True,
            text=True,
        )
        demo.send_signal(signal.SIGINT)
        rest = demo.stdout.read()
    assert tried.returncode == 0, tried.stdout + tried.stderr
    assert "other-api · prod" in tried.stdout + said
    assert "http://127.0.0.1:" in tried.stdout
    assert (demo.returncode, rest) == (0, "Stopped.\n")
    assert remaining_processes(tmp_path) == []
    assert os.listdir(tmp_path / "temporary") == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_stopped_halfway_leaves_nothing(tmp_path: Path, how: signal.Signals) -> None:
    with subprocess.Popen(
        DEMO, cwd=TEMPLATE, env=demo_environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdout
        while "./deploy.sh" not in demo.stdout.readline():
            assert demo.poll() is None
        time.sleep(1)
        demo.send_signal(how)
        _, error = demo.communicate(timeout=30)
    assert demo.returncode == 130
    assert "demo: stopped" in error
    assert "Traceback" not in error
    assert remaining_processes(tmp_path) == []
    assert os.listdir(tmp_path / "temporary") == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("colour=blue", "demo: colour=blue is not an answer. Write name=answer, for example endpoint=http_api. "),
        ("arm64", "demo: arm64 is not an answer. "),
        ("_new_lines=x", "demo: _new_lines=x is not an answer. "),
        ("architecture=mips", "demo: 'mips' is not a choice of architecture. Choices: arm64, x86_64."),
        ("project_slug=My_API", "demo: project_slug is part of the names of AWS resources. It must have "),
        ("project_slug=my/api", "demo: project_slug: 3 to 40 "),
    ],
)
def test_bad_answers_get_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str, said: str
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert main([answer]) == 1
    told = capsys.readouterr().err
    assert told.startswith(said)
    assert told.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_engine_that_is_not_there_gets_one_line(tmp_path: Path) -> None:
    nothing = {**demo_environment(tmp_path), "PATH": str(tmp_path)}
    done = subprocess.run([*DEMO, "--engine", "docker"], cwd=TEMPLATE, env=nothing, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "demo: docker is not installed\n")
