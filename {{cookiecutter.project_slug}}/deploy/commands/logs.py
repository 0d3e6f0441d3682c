"""./deploy.sh logs: what the service wrote, as readable lines."""

import time
from argparse import ArgumentParser, Namespace

from botocore.exceptions import ClientError

from deploy.aws import Aws, error_code
from deploy.config import Service
from deploy.log_lines import written
from deploy.problem import Problem

HOUR_S = 3600
LATE_S = 15  # records reach CloudWatch Logs out of order, some seconds late


def hours(text: str) -> float:
    number = float(text)
    if not 0 < number < 100_000:
        raise ValueError
    return number


def arguments(parser: ArgumentParser, common: ArgumentParser) -> None:
    parser.add_argument("-f", "--follow", action="store_true", help="go on until Ctrl-C")
    parser.add_argument("--errors", action="store_true", help="errors only")
    parser.add_argument("--hours", type=hours, default=1.0, help="how far back (default: 1)")


def run(service: Service, aws: Aws, given: Namespace) -> None:
    """The last hours; with `--follow`, goes on until Ctrl-C."""
    since_s = time.time() - given.hours * HOUR_S
    seen: set[str] = set()
    while True:
        asked_s = time.time()
        _print_since(service, aws, since_s, seen, given.errors)
        if not given.follow:
            break
        since_s = max(since_s, asked_s - LATE_S)
        aws.sleep(2.0)


def _print_since(service: Service, aws: Aws, since_s: float, seen: set[str], errors_only: bool) -> None:
    try:
        for event, line in written(service, aws, since_s, errors_only=errors_only):
            if event not in seen:
                seen.add(event)
                print(line.text, flush=True)
    except ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise
        raise Problem(
            f"{service.name} has no logs in stage {service.stage}: it was not deployed there.", "Deploy it: ./deploy.sh"
        ) from None
