"""Run the acceptance scenario on a real AWS account, and delete everything that it created.

`make test-aws` uses your AWS credentials and your container engine, and asks before it creates anything. It deletes its
resources after a failure and after Ctrl-C, too. If the process was killed, the next run deletes them, or --clean-up.
"""

import argparse
import math
import os
import re
import shutil
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
from scripts.acceptance_scenario import check_success, eventually, run_scenario
from scripts.command_line import ScriptError, handle_sigterm_like_ctrl_c, parse_answers, say, temporary_project
from scripts.deploy_tool import Run
from scripts.projects import COMBINATIONS, PRICES, Answers, InvalidAnswers, Project, combination_name, share_venv
from scripts.remaining_resources import find_resources

PROGRAM = "test-aws"
NAME = "fastapi-lambda-acceptance"
STAGE = re.compile(rf"{NAME}[-/](t[0-9a-f]{{8}})\b")
RESOURCES = {  # of each answer, besides those of every service
    "function_url": "function URL",
    "http_api": "HTTP API, its log group",
    "ssm": "secrets (SSM)",
    "secrets_manager": "secret (Secrets Manager)",
    "alembic": "migration function, tables in the database of DATABASE_URL",
    "provisioned_concurrency": "provisioned concurrency",
}
# The costs assume that a run takes at most one hour, with 200 requests of 5 s and 512 MB.
GB, HOUR_S, VERSIONS = 0.5, 3600, 3
HOURS_PER_MONTH = 730
BASE_COST: float = (
    200 * 5 * GB * PRICES["lambda"]["gb_s"]["x86_64"]
    + 200 / 1e6 * PRICES["lambda"]["million_requests"]
    + (2 * PRICES["cloudwatch"]["alarm"] + PRICES["ecr"]["gb"]) / HOURS_PER_MONTH  # two alarms, 1 GB in ECR
)
ADDITIONAL_COSTS: dict[str, float] = {  # by answer
    "secrets_manager": PRICES["secrets_manager"]["secret"] / HOURS_PER_MONTH,
    # AWS charges at least three hours for a snapshot.
    "snapstart": VERSIONS * GB * 3 * HOUR_S * PRICES["snapstart"]["cached_gb_s"]
    + 50 * GB * PRICES["snapstart"]["restored_gb"],
    # Two environments of two versions.
    "provisioned_concurrency": 2 * 2 * GB * HOUR_S * PRICES["provisioned_concurrency"]["idle_gb_s"]["x86_64"],
}
# Estimates of the duration of a run, by answer.
DEFAULT_MINUTES = 6
MINUTES = {"snapstart": 12}


class Account:
    """The AWS account of the current credentials. Images are built with the container engine of this machine."""

    def ready(self) -> None:
        """Raise EngineMissing if this machine has no container engine."""
        engine_architecture()

    def image(self, project: Project) -> list[str]:
        """Return the arguments of ./deploy.sh for the project's image. Without arguments, it builds one."""
        return []

    def deploy(self, project: Project, *arguments: str, typed: str = "") -> Run:
        """Run ./deploy.sh and print its output."""
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
            with suppress(BrokenPipeError):  # this command does not read its standard input
                process.stdin.write(typed)
                process.stdin.close()
            for line in process.stdout:
                lines.append(line)
                say(line.rstrip("\n"))
            code = process.wait()
            err.seek(0)
            errors = err.read()
        say(errors.rstrip("\n"))
        return Run(code, "".join(lines), errors)

    def forget_images(self, name: str) -> None:
        """Delete the images of a function from this machine."""
        if shutil.which("docker"):
            images = docker("images", "--format", "{{.Repository}}:{{.Tag}}").split()
            for image in images:
                if image.rpartition("/")[2].startswith(f"{name}:"):
                    docker("rmi", image)


def main(arguments: Sequence[str], account: Account | None = None) -> int:
    """Run the acceptance test on the account of the current credentials, and return the exit code."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    parser.add_argument("answers", nargs="*", metavar="name=answer", help="answers to the template's prompts")
    parser.add_argument("--all", action="store_true", help="test every combination that contains these answers")
    parser.add_argument("--clean-up", action="store_true", help="only delete the resources of earlier runs")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    args = parser.parse_intermixed_args(arguments)
    handle_sigterm_like_ctrl_c()
    start = time.monotonic()
    try:
        test = AcceptanceTest(parse_answers(args.answers), account or Account())
        if args.clean_up:
            test.delete_earlier_resources(ask=not args.yes)
        else:
            test.run(every_combination=args.all, ask=not args.yes)
    except NoCredentialsError:
        print(f"{PROGRAM}: no AWS credentials were found. Set AWS_PROFILE or run aws configure.", file=sys.stderr)
        return 1
    except (ScriptError, InvalidAnswers, EngineMissing, AssertionError, BotoCoreError, ClientError) as error:
        if isinstance(error.__context__, AssertionError):  # the scenario failed, and then deleting its resources failed
            print(f"{PROGRAM}: {error.__context__}", file=sys.stderr)
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{PROGRAM}: stopped", file=sys.stderr)
        return 130
    say(f"\nDone in {time.monotonic() - start:.0f}s. No resources are left.")
    return 0


class AcceptanceTest:
    """The acceptance scenario on one account, and the resources that it created there.

    Raise ScriptError without a Region, and NoCredentialsError without credentials.
    """

    def __init__(self, answers: dict[str, str], account: Account) -> None:
        session = boto3.Session()
        self.region = answers.get("aws_region") or session.region_name
        if not self.region:
            raise ScriptError("no Region is set. Set AWS_REGION, or add an answer such as aws_region=eu-west-1.")
        self.answers = answers
        self.account = account
        self.client = partial(session.client, region_name=self.region)
        identity = self.client("sts").get_caller_identity()
        self.caller = f"{identity['Account']} in {self.region}, as {identity['Arn']}"

    def run(self, *, every_combination: bool, ask: bool) -> None:
        """Announce what is created and what it costs, ask, and run the scenario in one or in every combination."""
        self.account.ready()
        matching = [
            combination
            for combination in COMBINATIONS
            if all(self.answers.get(option, choice) == choice for option, choice in combination.items())
        ]
        selected = matching if every_combination else matching[:1]  # the first one has the default of each option
        if any(answers["migrations"] == "alembic" for answers in selected) and not os.environ.get("DATABASE_URL"):
            raise ScriptError(
                "DATABASE_URL is not set. Set it to the URL of an empty PostgreSQL database that Lambda can reach, "
                "or add the answer migrations=none."
            )
        earlier = self.existing_stages()
        say(f"This deploys to the AWS account {self.caller}:")
        for answers in selected:
            say(f"  {combination_name(answers)}: about {minutes(answers)} min, at most ${cost(answers):.2f}")
            say(f"    {', '.join(resources(answers))}")
        say(f"All names contain {NAME} and the stage. Everything has the tag service={NAME} and is deleted at the end.")
        say(f"In total: about {sum(map(minutes, selected))} min, at most ${sum(map(cost, selected)):.2f}.")
        say("The minutes are an estimate. The cost is based on the prices of us-east-1 in November 2026, without the")
        say("free tier.")
        self.confirm(earlier, ask=ask)
        self.delete_stages(*earlier)
        for answers in selected:
            self.run_scenario(answers)

    def run_scenario(self, answers: Answers) -> None:
        """Run the scenario in one combination, in a new stage, and delete the stage."""
        stage = f"t{int(time.time()):08x}"
        with self.generated_project({**answers, **self.answers}) as project:
            deploy = partial(self.account.deploy, project, "--stage", stage)
            try:
                if project.answers["migrations"] == "alembic":
                    check_success(deploy("secret", "set", "DATABASE_URL", typed=os.environ["DATABASE_URL"]))
                url = run_scenario(project, deploy, lambda: self.account.image(project), f"{NAME}-{stage}")
                assert url.startswith("https://") or "AWS_ENDPOINT_URL" in os.environ, url
                eventually(partial(self.check_deleted, stage))
            finally:
                self.delete_stages(stage)

    def delete_earlier_resources(self, *, ask: bool) -> None:
        """Delete the resources that earlier runs have left."""
        stages = self.existing_stages()
        say(f"AWS account {self.caller}:")
        if not stages:
            say("Nothing to delete.")
            return
        self.confirm(stages, ask=ask)
        self.delete_stages(*stages)

    def confirm(self, earlier: list[str], *, ask: bool) -> None:
        """List the resources of earlier stages and ask whether to continue. Raise ScriptError if not."""
        for stage in earlier:
            say(f"These resources of an earlier run are deleted first: {', '.join(find_resources(self.client, stage))}")
        try:
            if ask and input("Continue? [y/N] ").strip().lower() not in ("y", "yes"):
                raise ScriptError("stopped before any change.")
        except EOFError:
            raise ScriptError("stopped before any change: the question was not answered. Add --yes.") from None

    def delete_stages(self, *stages: str) -> None:
        """Run ./deploy.sh destroy in two projects that together know every kind of resource."""
        for stage in stages:
            self.account.forget_images(f"{NAME}-{stage}")
        for answers in (COMBINATIONS[-1], COMBINATIONS[0]):
            remaining = [stage for stage in stages if find_resources(self.client, stage)]
            if not remaining:
                return
            say("\nDeleting the remaining resources:")
            purge = ["--purge"] if answers["secrets"] == "secrets_manager" else []
            with self.generated_project(answers) as project:
                for stage in remaining:
                    self.account.deploy(project, "--stage", stage, "destroy", *purge, typed=f"{NAME}-{stage}\n")
        for stage in stages:
            eventually(partial(self.check_deleted, stage))

    @contextmanager
    def generated_project(self, answers: Answers) -> Iterator[Project]:
        """Yield a temporary project with the name of the acceptance test and with the packages of this .venv."""
        fixed = {"project_name": "Acceptance test", "project_slug": NAME, "aws_region": self.region}
        with temporary_project({**answers, **fixed}) as project:
            share_venv(project.path)
            yield project

    def check_deleted(self, stage: str) -> None:
        """Raise AssertionError if the account contains resources of the stage."""
        remaining = find_resources(self.client, stage)
        assert not remaining, f"these resources in {self.region} were not deleted: {', '.join(remaining)}"

    def existing_stages(self) -> list[str]:
        """Return the stages of this test that have resources in the account."""
        names = find_resources(self.client, NAME)
        return sorted({stage[1] for name in names if (stage := STAGE.search(name))})


def resources(answers: Answers) -> list[str]:
    """Return the kinds of resources that a service with these answers consists of."""
    common = ["ECR repository", "log group", "role", "function", "alarms"]
    return common + [RESOURCES[answer] for answer in answers.values() if answer in RESOURCES]


def cost(answers: Answers) -> float:
    """Return the highest cost of a run in US dollars, rounded up to a cent."""
    dollars = BASE_COST + sum(ADDITIONAL_COSTS.get(answer, 0) for answer in answers.values())
    return math.ceil(100 * dollars) / 100


def minutes(answers: Answers) -> int:
    """Return an estimate of the duration of a run."""
    return MINUTES.get(answers["cold_starts"], DEFAULT_MINUTES)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
