"""`make test-aws` plays the acceptance scenario on a real AWS account, and takes everything down again.

It uses your credentials and your container engine, and asks before it makes anything. Whatever ends it, what it made is
removed; after a kill, the next run does that, or --clean-up.
"""

import argparse
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial

import boto3
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from embedded_aws.containers.docker_engine import docker, engine_architecture
from embedded_aws.ecr.docker_registry import EngineMissing
from scripts.acceptance_scenario import eventually, play
from scripts.demo import Failed, baked, read_answers, say
from scripts.deploy_tool import Run
from scripts.projects import COMBINATIONS, PRICES, Answers, Project, combination_name, share_venv
from scripts.remaining_resources import find_resources

PROGRAM = "test-aws"
NAME = "fastapi-lambda-acceptance"
STAGE = re.compile(rf"{NAME}[-/](t[0-9a-f]{{8}})\b")
MAKES = {
    "function_url": "function URL",
    "http_api": "HTTP API, its log group",
    "ssm": "secrets (SSM)",
    "secrets_manager": "secret (Secrets Manager)",
    "alembic": "migration function, tables in the database of DATABASE_URL",
    "provisioned_concurrency": "provisioned concurrency",
}
# A run is taken to last an hour at most, with 200 requests of 5 s and 512 MB.
GB, HOUR_S, VERSIONS = 0.5, 3600, 3
COSTS: dict[str, float] = {
    "": 200 * 5 * GB * PRICES["lambda"]["gb_s"]["x86_64"]
    + 200 / 1e6 * PRICES["lambda"]["million_requests"]
    + (2 * PRICES["cloudwatch"]["alarm"] + PRICES["ecr"]["gb"]) / 730,  # two alarms, 1 GB in ECR
    "secrets_manager": PRICES["secrets_manager"]["secret"] / 730,
    # Snapshots are kept for three hours at least.
    "snapstart": VERSIONS * GB * 3 * HOUR_S * PRICES["snapstart"]["cached_gb_s"]
    + 50 * GB * PRICES["snapstart"]["restored_gb"],
    # Two environments of two versions.
    "provisioned_concurrency": 2 * 2 * GB * HOUR_S * PRICES["provisioned_concurrency"]["idle_gb_s"]["x86_64"],
}
MINUTES = {"": 6, "snapstart": 12}  # an estimate


class Account:
    """The AWS that the credentials at hand lead to, as ./deploy.sh sees it with this machine's container engine."""

    def ready(self) -> None:
        """Raises EngineMissing when there is nothing to build images with."""
        engine_architecture()

    def image(self, project: Project) -> list[str]:
        """The arguments by which ./deploy.sh finds the project's image; none: it builds one."""
        return []

    def deploy(self, project: Project, *arguments: str, typed: str = "") -> Run:
        """./deploy.sh, shown as it runs."""
        say(f"\n$ ./deploy.sh {' '.join(arguments)}")
        lines = []
        with (
            tempfile.TemporaryFile("w+", encoding="utf-8") as err,
            subprocess.Popen(
                ["./deploy.sh", *arguments],
                cwd=project.path,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=err,
                encoding="utf-8",
            ) as process,
        ):
            assert process.stdin
            assert process.stdout
            with suppress(BrokenPipeError):  # it does not ask
                process.stdin.write(typed)
                process.stdin.close()
            for line in process.stdout:
                lines.append(line)
                say(line.rstrip("\n"))
            code = process.wait()
            err.seek(0)
            told = err.read()
        say(told.rstrip("\n"))
        return Run(code, "".join(lines), told)

    def forget_images(self, name: str) -> None:
        """Removes from this machine what was built for the function of that name."""
        if shutil.which("docker"):
            images = docker("images", "--format", "{{.Repository}}:{{.Tag}}").split()
            for image in images:
                if image.rpartition("/")[2].startswith(f"{name}:"):
                    docker("rmi", image)


def main(arguments: Sequence[str], account: Account | None = None) -> int:
    parser = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    parser.add_argument("answers", nargs="*", metavar="name=answer", help="answers to the template's prompts")
    parser.add_argument("--all", action="store_true", help="every combination that has these answers")
    parser.add_argument("--clean-up", action="store_true", help="only remove what earlier runs have left")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    given = parser.parse_intermixed_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # `kill` ends it as Ctrl-C does
    began = time.monotonic()
    try:
        run = Runs(read_answers(given.answers), account or Account())
        if given.clean_up:
            run.clean_up_earlier(ask=not given.yes)
        else:
            run.all_of(every=given.all, ask=not given.yes)
    except NoCredentialsError:
        print(f"{PROGRAM}: no AWS credentials were found: set AWS_PROFILE, or run aws configure", file=sys.stderr)
        return 1
    except (Failed, EngineMissing, AssertionError, BotoCoreError, ClientError) as error:
        if isinstance(error.__context__, AssertionError):  # what was wrong before cleaning up failed, too
            print(f"{PROGRAM}: {error.__context__}", file=sys.stderr)
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{PROGRAM}: stopped", file=sys.stderr)
        return 130
    say(f"\nDone in {time.monotonic() - began:.0f}s; nothing is left.")
    return 0


class Runs:
    """Raises Failed, EngineMissing or NoCredentialsError when there is nothing to run on."""

    def __init__(self, answers: dict[str, str], account: Account) -> None:
        session = boto3.Session()
        self.region = answers.get("aws_region") or session.region_name
        if not self.region:
            raise Failed("no Region is set: set AWS_REGION, or give aws_region=eu-west-1 or another")
        self.answers = answers
        self.account = account
        self.client = partial(session.client, region_name=self.region)
        identity = self.client("sts").get_caller_identity()
        self.caller = f"{identity['Account']} in {self.region}, as {identity['Arn']}"

    def all_of(self, *, every: bool, ask: bool) -> None:
        self.account.ready()
        fits = [one for one in COMBINATIONS if all(one[key] == self.answers.get(key, one[key]) for key in one)]
        chosen = fits if every else fits[:1]  # the first choices are the defaults
        if any(one["migrations"] == "alembic" for one in chosen) and not os.environ.get("DATABASE_URL"):
            raise Failed("DATABASE_URL is not set: give an empty PostgreSQL that Lambda can reach, or migrations=none")
        earlier = self.stages()
        say(f"This deploys to the AWS account {self.caller}:")
        for one in chosen:
            says = f"about {minutes(one)} min, at most ${cost(one):.2f}"
            say(f"  {combination_name(one)}: {says}\n    {', '.join(makes(one))}")
        say(f"Everything is named {NAME}-<stage>, tagged service={NAME}, and removed in the end.")
        say(f"In all: about {sum(map(minutes, chosen))} min, at most ${sum(map(cost, chosen)):.2f}.")
        say("Minutes are an estimate; cost is by AWS's prices for us-east-1 in November 2026, without its free tier.")
        self.agreed(earlier, ask=ask)
        self.clean_up(*earlier)
        for one in chosen:
            self.play(one)

    def play(self, answers: Answers) -> None:
        stage = f"t{int(time.time()):08x}"
        with self.baked({**answers, **self.answers}) as project:
            deploy = partial(self.account.deploy, project, "--stage", stage)
            try:
                if project.answers["migrations"] == "alembic":
                    deploy("secret", "set", "DATABASE_URL", typed=os.environ["DATABASE_URL"])
                url = play(project, deploy, lambda: self.account.image(project), f"{NAME}-{stage}")
                assert url.startswith("https://") or "AWS_ENDPOINT_URL" in os.environ, url
                eventually(partial(self.nothing_is_left, stage))
            finally:
                self.clean_up(stage)

    def clean_up_earlier(self, *, ask: bool) -> None:
        stages = self.stages()
        say(f"AWS account {self.caller}:")
        if not stages:
            say("Earlier runs have left nothing.")
            return
        self.agreed(stages, ask=ask)
        self.clean_up(*stages)

    def agreed(self, earlier: list[str], *, ask: bool) -> None:
        """Raises Failed when the answer is no."""
        for stage in earlier:
            say(f"Left by an earlier run, and removed first: {', '.join(find_resources(self.client, stage))}")
        try:
            if ask and input("Go on? [y/N] ").strip().lower() not in ("y", "yes"):
                raise Failed("nothing was done")
        except EOFError:
            raise Failed("nothing was done: there is nobody to ask; say --yes") from None

    def clean_up(self, *stages: str) -> None:
        """By the ./deploy.sh destroy of two services that together have every kind of resource."""
        for stage in stages:
            self.account.forget_images(f"{NAME}-{stage}")
        for answers in (COMBINATIONS[-1], COMBINATIONS[0]):
            left = [stage for stage in stages if find_resources(self.client, stage)]
            if not left:
                return
            say("\nRemoving what is left:")
            purge = ["--purge"] if answers["secrets"] == "secrets_manager" else []
            with self.baked(answers) as project:
                for stage in left:
                    self.account.deploy(project, "--stage", stage, "destroy", *purge, typed=f"{NAME}-{stage}\n")
        for stage in stages:
            eventually(partial(self.nothing_is_left, stage))

    @contextmanager
    def baked(self, answers: Answers) -> Iterator[Project]:
        own = {"project_name": "Acceptance test", "project_slug": NAME, "aws_region": self.region}
        with baked({**answers, **own}) as path:
            share_venv(path)
            yield Project(path, {**answers, **own}, ())

    def nothing_is_left(self, stage: str) -> None:
        left = find_resources(self.client, stage)
        assert not left, f"still there, in {self.region}: {', '.join(left)}"

    def stages(self) -> list[str]:
        """Those of which there is anything in the account."""
        return sorted({found[1] for one in find_resources(self.client, NAME) if (found := STAGE.search(one))})


def makes(answers: Answers) -> list[str]:
    of_all = ["ECR repository", "log group", "role", "function", "alarms"]
    return of_all + [MAKES[answer] for answer in answers.values() if answer in MAKES]


def cost(answers: Answers) -> float:
    """Dollars, rounded up to a cent."""
    return math.ceil(100 * sum(COSTS.get(answer, 0) for answer in ("", *answers.values()))) / 100


def minutes(answers: Answers) -> int:
    return MINUTES.get(answers["cold_starts"], MINUTES[""])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
