"""./deploy.sh logs: what the service wrote, as readable lines."""

import time
from argparse import ArgumentParser, Namespace

from botocore.exceptions import ClientError

from deploy.aws import Aws, error_code
from deploy.config import Service
from deploy.log_lines import MAYBE_ERRORS, readable
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
    start_ms = int((time.time() - given.hours * HOUR_S) * 1000)
    seen: set[str] = set()
    while True:
        asked_s = time.time()
        _print_since(service, aws, start_ms, seen, given.errors)
        if not given.follow:
            break
        start_ms = max(start_ms, int((asked_s - LATE_S) * 1000))
        aws.sleep(2.0)


def _print_since(service: Service, aws: Aws, start_ms: int, seen: set[str], errors_only: bool) -> None:
    pages = aws.logs.get_paginator("filter_log_events").paginate(
        logGroupName=service.log_group, startTime=start_ms, filterPattern=MAYBE_ERRORS if errors_only else ""
    )
    try:
        for page in pages:
            for event in page["events"]:
                if event["eventId"] in seen:
                    continue
                seen.add(event["eventId"])
                line = readable(event["message"])
                if line and (line.is_error or not errors_only):
                    print(line.text, flush=True)
    except ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise
        raise Problem(
            f"{service.name} has no logs in stage {service.stage}: it was not deployed there.", "Deploy it: ./deploy.sh"
        ) from None
