"""`make demo` bakes a project, deploys it to the embedded AWS by its own ./deploy.sh and calls the URL.

`make serve` does the same, stays up, and deploys again at Enter; PROJECT=folder takes one that is there.
Caches (image layers, the deploy tool's .venv) are under .cache/.
"""

import argparse
import hashlib
import json
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from embedded_aws import EmbeddedAws
from embedded_aws.containers.docker_aws import docker_aws
from embedded_aws.containers.docker_engine import engine_architecture
from embedded_aws.containers.dockerfile import DockerfileError
from embedded_aws.containers.task_root import build_task_root
from embedded_aws.ecr.docker_registry import EngineMissing
from scripts.database import postgres
from scripts.projects import PROMPTS, TEMPLATE
from scripts.second_release import give_items_a_price

CACHE = TEMPLATE / ".cache"
PROGRAM = "demo"


class Failed(Exception):
    """Says in one line why there is no URL."""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.demo", description=__doc__)
    parser.add_argument("answers", nargs="*", metavar="name=answer", help="answers to the template's prompts")
    parser.add_argument(
        "--engine", choices=["none", "docker"], default="none", help="docker: a real image, in containers"
    )
    parser.add_argument("--serve", action="store_true", help="keep the URL up until Ctrl-C")
    parser.add_argument("--project", type=Path, metavar="FOLDER", help="one that is there, instead of a new one")
    given = parser.parse_intermixed_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # `kill` ends it as Ctrl-C does
    try:
        answers = read_answers(given.answers)
        demo = with_engine if given.engine == "docker" else without_engine
        demo(answers, given.project, serve=given.serve)
    except (Failed, DockerfileError, EngineMissing) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{PROGRAM}: stopped", file=sys.stderr)
        return 130
    return 0


def read_answers(given: Sequence[str]) -> dict[str, str]:
    """`name=answer` words as answers; raises Failed for what no prompt asks."""
    answers = {}
    prompts = [name for name in PROMPTS if not name.startswith("_")]
    for word in given:
        name, equals, answer = word.partition("=")
        if not equals or name not in prompts:
            raise Failed(f"{word!r} is no answer; give name=answer, with a name of {', '.join(prompts)}")
        choices = PROMPTS[name]
        if isinstance(choices, list) and answer not in choices:
            raise Failed(f"{name} is one of {', '.join(choices)}, not {answer!r}")
        answers[name] = answer
    return answers


def without_engine(answers: dict[str, str], own: Path | None, *, serve: bool) -> None:
    began = time.monotonic()
    with at_hand(own) if own else baked(answers) as project, EmbeddedAws() as aws, database_of(project, aws):
        python = f"Python {sys.version_info.major}.{sys.version_info.minor}"

        def release() -> None:
            say(f"Laying out the files of the image as the Dockerfile says, for this machine's {python}:")
            root = build_task_root(project, CACHE, lambda line: say(f"  {line}"))
            architecture = deployed(project, "architecture")
            region = deployed(project, "region")
            image = aws.push_image(
                "built-elsewhere", root.path, command=root.command, architecture=architecture, region=region
            )
            deploy(project, aws, ["--image", image])

        show(project, aws, release, change=not own)
        say()
        say("Emulated on this machine: AWS's APIs (by moto and embedded_aws), the URL, and the image: its files,")
        say(
            f"run by {python} on {platform.machine()}. Real: the project, its ./deploy.sh, AWS's Lambda runtime client."
        )
        say(f"No AWS account and no container engine was used. All of it took {time.monotonic() - began:.0f}s.")
        if serve:
            stay_up(project, aws, release)


def with_engine(answers: dict[str, str], own: Path | None, *, serve: bool) -> None:
    began = time.monotonic()
    architecture = engine_architecture()
    if not own and "architecture" not in answers:
        say(f"The container engine runs {architecture} without emulation, so the project is baked for that.")
        answers = {**answers, "architecture": architecture}
    with at_hand(own) if own else baked(answers) as project, docker_aws() as aws, database_of(project, aws):

        def release() -> None:
            deploy(project, aws, [])

        show(project, aws, release, change=not own)
        say()
        say("Emulated on this machine: AWS's APIs (by moto and embedded_aws) and the URL.")
        say("Real: the project, its ./deploy.sh, the image that docker built, the registry, the containers.")
        if answers.get("cold_starts") == "snapstart":
            say("A snapshot is of one process, not of a machine: environments are its copies, and share its container.")
        say(f"No AWS account was used. All of it took {time.monotonic() - began:.0f}s.")
        if serve:
            stay_up(project, aws, release)


def show(project: Path, aws: EmbeddedAws, release: Callable[[], None], *, change: bool) -> None:
    """A release, and what its URL answers; with a database also that an item outlives a second one that migrates it."""
    release()
    url = url_of(project, aws)
    fetch(url)
    if change and has_database(project):
        fetch(f"{url}items", {"name": "screw", "quantity": 3})
        say()
        say("Now items get a price, with a migration for those that are in the database already:")
        say(give_items_a_price(project))
        say()
        release()
        fetch(f"{url}items")


@contextmanager
def baked(answers: dict[str, str]) -> Iterator[Path]:
    """The project of these answers, in a folder that goes when the demo ends."""
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        options = ["--no-input", *(f"{name}={answer}" for name, answer in answers.items())]
        say("$ " + shlex.join(["cookiecutter", TEMPLATE.name, *options]))
        result = subprocess.run(
            [
                sys.executable,
                "-m",
                "cookiecutter",
                str(TEMPLATE),
                "--default-config",
                "-o",
                f"{folder}/baked",
                *options,
            ],
            env={**os.environ, "HOME": folder, "TMPDIR": folder},  # where cookiecutter leaves what it does not delete
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            said = (result.stderr.strip().splitlines() or ["cookiecutter said nothing"])[-1]
            raise Failed(re.sub(r".* has no attribute '(.*)'$", r"\1", said))
        (project,) = Path(folder, "baked").iterdir()
        yield project


@contextmanager
def at_hand(project: Path) -> Iterator[Path]:
    """A project of yours; raises Failed when it is none."""
    if not (project / "deploy.toml").exists():
        raise Failed(f"{project} is no project of this template: it has no deploy.toml")
    yield project.resolve()


def has_database(project: Path) -> bool:
    return (project / "alembic.ini").exists()


def deployed(project: Path, key: str) -> Any:
    with open(project / "deploy.toml", "rb") as file:
        return tomllib.load(file)[key]


@contextmanager
def database_of(project: Path, aws: EmbeddedAws) -> Iterator[None]:
    """A database for the service, if it needs one; its URL is the service's secret."""
    if not has_database(project):
        yield
        return
    with postgres() as url:
        say()
        say("A real PostgreSQL runs on this machine until the demo ends. Its URL is a secret of the service:")
        say(f"$ DATABASE_URL={shlex.quote(url)}")
        deploy(project, aws, ["secret", "set", "DATABASE_URL"], typed=url)
        yield


def deploy(project: Path, aws: EmbeddedAws, arguments: Sequence[str], *, typed: str = "") -> None:
    """The project's own deploy, as its owner sees it."""
    say()
    given = f'printf %s "${arguments[-1]}" | ' if typed else ""
    say(f"$ cd {project.name} && {given}{shlex.join(['./deploy.sh', *arguments])}")
    with kept_venv(project):
        command = ["./deploy.sh", *arguments]
        done = subprocess.run(command, cwd=project, env=environment(aws), input=typed, text=True, check=False)
    if done.returncode:
        raise Failed(f"./deploy.sh ended with exit code {done.returncode}; what it printed above says why")


def url_of(project: Path, aws: EmbeddedAws) -> str:
    """The URL that ./deploy.sh status names."""
    command = ["./deploy.sh", "status"]
    status = subprocess.run(command, cwd=project, env=environment(aws), capture_output=True, text=True, check=False)
    found = re.search(r"https?://\S+/", status.stdout)
    if status.returncode or not found:
        raise Failed(f"./deploy.sh status names no URL: {status.stdout}{status.stderr}")
    return found[0]


def fetch(url: str, item: dict[str, object] | None = None) -> None:
    """Shows what a GET of the URL answers, or a POST of the item."""
    body = json.dumps(item) if item else None
    say()
    say(f"$ curl -s {url}" + (f" --json {shlex.quote(body)}" if body else ""))
    request = urllib.request.Request(
        url, body.encode() if body else None, {"Content-Type": "application/json"} if body else {}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as answer:
            say(answer.read().decode())
    except OSError as error:
        raise Failed(f"{url} does not answer: {error}") from error


def stay_up(project: Path, aws: EmbeddedAws, release: Callable[[], None]) -> None:
    """Until Ctrl-C; each line on standard input is another release."""
    with tempfile.TemporaryDirectory(prefix="aws-") as folder:
        variables = Path(folder, "environment")
        variables.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in aws.environ.items()))
        say()
        say("The URL stays up until Ctrl-C. Change something, and press Enter here to deploy it. In another terminal:")
        say(f"  cd {shlex.quote(str(project))} && . {shlex.quote(str(variables))}")
        for command in ("status", "logs", "secret set API_KEY", "rollback", "destroy"):
            say(f"  ./deploy.sh {command}")
        try:
            for _ in sys.stdin:
                try:
                    release()
                except (Failed, DockerfileError) as failed:
                    say(f"{PROGRAM}: {failed}")
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            say("Stopped.")


@contextmanager
def kept_venv(project: Path) -> Iterator[None]:
    """Lends the .venv that ./deploy.sh made for these requirements last time, or keeps the one it makes now."""
    requirements = (project / "requirements-deploy.txt").read_bytes()
    kept = CACHE / "venv" / hashlib.sha256(requirements + sys.version.encode()).hexdigest()[:16]
    lent = project / ".venv"
    if lent.exists() or not project.is_relative_to(tempfile.gettempdir()):  # since the command before; or yours
        yield
        return
    if (kept / "bin/python").exists():  # false, too, when the Python it was made from is gone
        lent.symlink_to(kept)
        yield
        return
    yield
    if (lent / "requirements-deploy.txt").exists():
        draft = kept.with_name(f"draft-{uuid.uuid4().hex}")
        shutil.copytree(lent, draft, symlinks=True)
        if not (kept / "bin/python").exists():
            shutil.rmtree(kept, ignore_errors=True)
        try:
            draft.rename(kept)
        except OSError:  # another demo was faster
            shutil.rmtree(draft)


def environment(aws: EmbeddedAws) -> dict[str, str]:
    """This machine's, with the embedded AWS for any other and this Python as python3."""
    here = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "VIRTUAL_ENV"))}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**here, **aws.environ, "PATH": path}


def say(line: str = "") -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
