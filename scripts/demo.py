"""Generate a project, deploy it to the embedded AWS with its ./deploy.sh, and call its URL.

`make demo` runs this once. `make serve` keeps the URL available and deploys again when you press Enter. The folder
.cache keeps layers of images and the virtual environment of the deploy tool.
"""

import argparse
import platform
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from embedded_aws import EmbeddedAws
from embedded_aws.containers.docker_aws import docker_aws
from embedded_aws.containers.docker_engine import engine_architecture
from embedded_aws.containers.dockerfile import DockerfileError
from embedded_aws.containers.task_root import build_task_root
from embedded_aws.ecr.docker_registry import EngineMissing
from scripts.cached_venv import CACHE
from scripts.command_line import ScriptError, handle_sigterm_like_ctrl_c, parse_answers, say, temporary_project
from scripts.demo_steps import curl, deploy, deployed_url, has_database, read_settings, secrets_of
from scripts.projects import Answers, InvalidAnswers
from scripts.second_release import give_items_a_price

PROGRAM = "demo"
PROJECT_FILES = ("deploy.toml", "deploy.sh", "Dockerfile", "requirements-deploy.txt")
PROJECT_HINT = "Specify the folder of a generated project, for example PROJECT=../my-api."


def main(arguments: Sequence[str]) -> int:
    """Run the demo, and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.demo", description=__doc__)
    parser.add_argument("answers", nargs="*", metavar="name=answer", help="answers to the template's prompts")
    parser.add_argument(
        "--engine", choices=["none", "docker"], default="none", help="docker builds an image and runs it in containers"
    )
    parser.add_argument("--serve", action="store_true", help="keep the URL available until Ctrl-C")
    parser.add_argument("--project", type=Path, metavar="FOLDER", help="deploy an existing project")
    args = parser.parse_intermixed_args(arguments)
    handle_sigterm_like_ctrl_c()
    try:
        run = run_with_engine if args.engine == "docker" else run_without_engine
        run(parse_answers(args.answers), args.project, serve=args.serve)
    except EngineMissing as error:
        print(f"{PROGRAM}: {error}\nStart Docker, or omit ENGINE: the demo needs no container engine.", file=sys.stderr)
        return 1
    except (ScriptError, InvalidAnswers, DockerfileError) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{PROGRAM}: stopped", file=sys.stderr)
        return 130
    return 0


def run_without_engine(answers: Answers, existing: Path | None, *, serve: bool) -> None:
    """Run the demo without containers: the files of the image run as processes of this machine."""
    start = time.monotonic()
    python = f"Python {sys.version_info.major}.{sys.version_info.minor}"
    with open_project(answers, existing) as project, EmbeddedAws() as aws, secrets_of(project, aws):

        def release() -> None:
            say()
            say(f"Preparing the files of the image as its Dockerfile describes, for this machine's {python}:")
            task_root = build_task_root(project, CACHE, lambda line: say(f"  {line}"))
            settings = read_settings(project)
            image = aws.push_image(
                "built-elsewhere",
                task_root.path,
                command=task_root.command,
                architecture=settings.get("architecture", "arm64"),
                region=settings.get("region"),
            )
            deploy(project, aws, ["--image", image])

        deploy_and_call(project, aws, release, second_release=not existing)
        say()
        say("Emulated on this machine: AWS's APIs (by moto and embedded_aws), the URL, and the container: the files of")
        say(f"the image run with {python} on {platform.machine()}.")
        say("Real: the project, its ./deploy.sh, AWS's Lambda runtime client.")
        say(f"No AWS account and no container engine was used. The demo took {time.monotonic() - start:.0f}s.")
        if serve:
            serve_until_ctrl_c(project, aws, release)


def run_with_engine(answers: Answers, existing: Path | None, *, serve: bool) -> None:
    """Run the demo with the container engine of this machine. Raise EngineMissing if there is none."""
    start = time.monotonic()
    architecture = engine_architecture()
    if not existing and "architecture" not in answers:
        say(f"The container engine runs {architecture} without emulation, so the project is generated for it.")
        answers = {**answers, "architecture": architecture}
    with open_project(answers, existing) as project, docker_aws() as aws, secrets_of(project, aws):

        def release() -> None:
            deploy(project, aws, [])

        deploy_and_call(project, aws, release, second_release=not existing)
        say()
        say("Emulated on this machine: AWS's APIs (by moto and embedded_aws) and the URL.")
        say("Real: the project, its ./deploy.sh, the image that docker built, the registry, the containers.")
        if answers.get("cold_starts") == "snapstart":
            say("A snapshot contains one process, not a machine, so all environments share one container.")
        say(f"No AWS account was used. The demo took {time.monotonic() - start:.0f}s.")
        if serve:
            serve_until_ctrl_c(project, aws, release)


@contextmanager
def open_project(answers: Answers, existing: Path | None) -> Iterator[Path]:
    """Yield the folder of the existing project, or of a temporary project with these answers.

    Raise ScriptError if the folder is not a generated project, or if there are both a project and answers.
    """
    if not existing:
        with temporary_project(answers) as project:
            yield project.path
        return
    if answers:
        words = ", ".join(f"{name}={answer}" for name, answer in answers.items())
        problem = f"{words} applies to a new project, but {existing} is an existing one."
        raise ScriptError(f"{problem}\nOmit one of them. docs/change-an-answer.md describes how to change an answer.")
    if not existing.is_dir():
        raise ScriptError(f"The folder {existing} does not exist.\n{PROJECT_HINT}")
    if missing := [name for name in PROJECT_FILES if not (existing / name).is_file()]:
        raise ScriptError(f"{existing} is not a project of this template: it has no {missing[0]}.\n{PROJECT_HINT}")
    yield existing.resolve()


def deploy_and_call(project: Path, aws: EmbeddedAws, release: Callable[[], None], *, second_release: bool) -> None:
    """Deploy the project and call its URL.

    If the service has a database, also create an item, and deploy a second release whose migration changes the item.
    """
    release()
    url = deployed_url(project, aws)
    curl(url.rstrip("/") + read_settings(project).get("check_path", "/"))
    if second_release and has_database(project):
        curl(f"{url}items", {"name": "screw", "quantity": 3})
        say()
        say("The second release gives items a price. A migration adds it to the items that exist:")
        say(give_items_a_price(project))
        release()
        curl(f"{url}items")


def serve_until_ctrl_c(project: Path, aws: EmbeddedAws, release: Callable[[], None]) -> None:
    """Keep the URL available until Ctrl-C, and deploy again after each line on the standard input."""
    with tempfile.TemporaryDirectory(prefix="aws-") as folder:
        variables = Path(folder, "environment")
        variables.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in aws.environ.items()))
        say()
        say("The URL is available until Ctrl-C. Change something and press Enter here to deploy it, or use the deploy")
        say("tool in another terminal:")
        say(f"  cd {shlex.quote(str(project))} && . {shlex.quote(str(variables))}")
        for command in ("status", "logs", "secret set API_KEY", "rollback", "destroy"):
            say(f"  ./deploy.sh {command}")
        try:
            for _ in sys.stdin:
                try:
                    release()
                except (ScriptError, DockerfileError) as error:
                    say(f"{PROGRAM}: {error}")
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            say("Stopped.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
