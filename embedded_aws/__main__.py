"""Run the embedded AWS as a server (`python -m embedded_aws`), or push a folder of code to it as an image."""

import argparse
import errno
import http.client
import json
import os
import re
import shlex
import signal
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from embedded_aws.boto_session import session
from embedded_aws.containers.docker_aws import DockerAws, docker_aws
from embedded_aws.containers.docker_engine import engine_architecture
from embedded_aws.ecr.docker_registry import EngineMissing
from embedded_aws.ecr.folder_push import PUSH_PATH
from embedded_aws.server import EmbeddedAws

PROGRAM = "embedded_aws"
DEFAULT_PORT = 4566
# What CreateRepository and PutImage accept (docs.aws.amazon.com/AmazonECR/latest/APIReference).
REPOSITORY_NAME = r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*"
TAG = r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}"
HANDLER = r"[\w/]+(\.\w+)+"

DESCRIPTION = """\
Run an emulated AWS on 127.0.0.1 until Ctrl-C, and print the environment variables with which boto3, the AWS CLI and
other programs use it. All state is lost when it stops."""

EPILOG = """\
A function needs an image. Without a container engine, push a folder with its code and all its dependencies:

  aws ecr create-repository --repository-name my-function
  python -m embedded_aws push FOLDER my-function:1 --handler main.handler

With --engine docker, push an image with docker push, as to AWS. See embedded_aws/README.md."""

ENGINE_HINT = """\
# Log in before docker push:
# aws ecr get-login-password | docker login --username AWS --password-stdin {host}"""

FOLDER_HINT = """\
# A function needs an image. To push a folder of code as one:
# aws ecr create-repository --repository-name my-function
# python -m embedded_aws push FOLDER my-function:1 --handler main.handler"""


class UsageError(Exception):
    """A problem that the user can solve. Its message is printed without a traceback."""


def main(arguments: Sequence[str]) -> int:
    """Run the program and return its exit code."""
    args = parse_arguments(arguments)
    try:
        if args.command == "push":
            print(push(args.folder, args.image, args.handler, args.architecture))
        else:
            serve(args.port, args.region, args.engine)
    except (UsageError, EngineMissing) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{PROGRAM}: stopped", file=sys.stderr)
        return 130
    return 0


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line. Exit with code 2 and a message if it is invalid."""
    parser = argparse.ArgumentParser(
        f"python -m {PROGRAM}",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--port", type=port_number, default=DEFAULT_PORT, help=f"default: {DEFAULT_PORT}; 0 for a free port"
    )
    parser.add_argument("--region", type=region_name, default="us-east-1", help="default: us-east-1")
    parser.add_argument(
        "--engine",
        choices=["none", "docker"],
        default="none",
        help="docker runs functions in containers; default: none",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="command")
    push_parser = commands.add_parser("push", help="push a folder of code as an image to a running server")
    push_parser.add_argument("folder", type=Path, help="the code and all its dependencies, as in /var/task")
    push_parser.add_argument("image", metavar="REPOSITORY:TAG", help="an existing repository, and a tag")
    push_parser.add_argument("--handler", required=True, help="module and function, such as main.handler")
    push_parser.add_argument(
        "--architecture",
        choices=["x86_64", "arm64"],
        default="x86_64",
        help="the function must have the same; default: x86_64",
    )
    return parser.parse_args(arguments)


def port_number(text: str) -> int:
    """Return a port number from 0 to 65535. Raise ArgumentTypeError for other text."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")
    return int(text)


def region_name(text: str) -> str:
    """Return the name of a Region of Lambda. Raise ArgumentTypeError for other text."""
    if text not in session().get_available_regions("lambda"):
        raise argparse.ArgumentTypeError(f"{text!r} is not an AWS Region")
    return text


def serve(port: int, region: str, engine: str) -> None:
    """Serve until Ctrl-C or SIGTERM. Raise UsageError if the port is in use, EngineMissing without an engine."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets background jobs ignore it
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with started(port, region, engine) as aws:
        print(f"# The embedded AWS listens on {aws.url}. Stop it with Ctrl-C.")
        print("# Copy these lines into another terminal:")
        for name, value in aws.environ.items():
            print(f"export {name}={shlex.quote(value)}")
        print(ENGINE_HINT.format(host=aws.running.host) if isinstance(aws, DockerAws) else FOLDER_HINT, flush=True)
        try:
            threading.Event().wait()
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)  # do not interrupt the clean-up


@contextmanager
def started(port: int, region: str, engine: str) -> Iterator[EmbeddedAws]:
    """Run an EmbeddedAws. Raise UsageError if the port is in use, EngineMissing without an engine."""
    if engine == "docker":
        engine_architecture()
    try:
        aws = docker_aws(port=port, region=region) if engine == "docker" else EmbeddedAws(port=port, region=region)
        with aws as running:
            yield running
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise UsageError(f"port {port} is in use. Select another one with --port.") from error


def push(folder: Path, image: str, handler: str, architecture: str) -> str:
    """Push a folder as an image to the server at AWS_ENDPOINT_URL. Return the URI of the image.

    Raise UsageError if an argument is invalid, if the server is not set, or if it refuses the image.
    """
    repository, _, tag = image.partition(":")
    if not re.fullmatch(REPOSITORY_NAME, repository) or not re.fullmatch(TAG, tag):
        raise UsageError(f"{image!r} is not the name of a repository and a tag, such as my-function:1.")
    if not re.fullmatch(HANDLER, handler):
        raise UsageError(f"{handler!r} is not a handler. Write the module and the function, such as main.handler.")
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder.")
    url, region = os.environ.get("AWS_ENDPOINT_URL"), os.environ.get("AWS_REGION")
    if not url or not region:
        raise UsageError(
            "AWS_ENDPOINT_URL and AWS_REGION are not set. "
            f"Start `python -m {PROGRAM}` in another terminal, and copy the lines that it prints into this one."
        )
    members = {
        "region": region,
        "repository": repository,
        "tag": tag,
        "folder": str(folder.resolve()),
        "handler": handler,
        "architecture": architecture,
    }
    return str(post(url.rstrip("/") + PUSH_PATH, members)["image_uri"])


def post(url: str, members: dict[str, str]) -> Any:
    """Send JSON to a URL and return the JSON of the response. Raise UsageError if the server refuses it."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        request = urllib.request.Request(url, json.dumps(members).encode(), {"Content-Type": "application/json"})
        with opener.open(request, timeout=60) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        try:
            message = json.load(error)["error"]
        except (ValueError, LookupError):
            message = f"{url} is not an embedded AWS (status {error.code})."
        raise UsageError(message) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        server = url.removesuffix(PUSH_PATH)
        message = (
            f"No embedded AWS responds at {server}. Start it with `python -m {PROGRAM}`, and copy the lines it prints."
        )
        raise UsageError(message) from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
