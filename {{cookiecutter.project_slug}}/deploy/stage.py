"""A stage: one copy of the service in an AWS account, with its names, its tags and the clients for its calls."""

from __future__ import annotations

import copy
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
import botocore.session
from botocore.config import Config as ClientConfig

from deploy.config import MAX_TIMEOUT_S, TAG_SEPARATOR, Config
from deploy.errors import DeployError, UsageError
from deploy.responses import check_response

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

First = TypeVar("First")
Second = TypeVar("Second")

POLL_S = 1.0
RETRIES: Any = {"mode": "standard", "total_max_attempts": 5}
INVOKE_READ_TIMEOUT_S = 2 * MAX_TIMEOUT_S + 30  # a start and a request may each take as long as the longest timeout
MANAGED_TAGS = "managed-tags"  # the tag that records the keys of `tags` in deploy.toml, so that they can be removed


class Session(boto3.Session):
    """A boto3 session that creates each client once, and can be used from several threads."""

    def __init__(self, region: str) -> None:
        session = botocore.session.get_session()
        session.set_default_client_config(ClientConfig(retries=RETRIES))
        session.register("before-parse", check_response, unique_id="check-response")
        super().__init__(region_name=region, botocore_session=session)
        self.ca_bundle: Any = session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE")
        self._clients: dict[str, Any] = {}
        self._caller_arn = ""
        self._lock = threading.RLock()

    def caller_arn(self) -> str:
        """Return the ARN of the user or role whose credentials are used. Call AWS only once."""
        with self._lock:
            if not self._caller_arn:
                self._caller_arn = self.client("sts").get_caller_identity()["Arn"]
            return self._caller_arn

    if not TYPE_CHECKING:  # boto3-stubs declares the type of each client on the method of the base class

        def client(self, service_name, *args, **options):
            """Return the client for a service. Options create a new one."""
            with self._lock:
                if args or options:
                    return super().client(service_name, *args, **options)
                if service_name not in self._clients:
                    self._clients[service_name] = super().client(service_name)
                return self._clients[service_name]


class Stage:
    """The configuration of a stage, the names of its resources, and access to its AWS account.

    `sleep` and `clock` (in seconds) exist so that tests need not wait.
    """

    def __init__(
        self,
        config: Config,
        project: Path,
        *,
        debug: bool = False,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self.project = project
        self.debug = debug
        self.sleep = sleep
        self.clock = clock
        self.session = Session(config.region)
        self.client = self.session.client
        if config.region not in self.session.get_available_regions("lambda"):
            raise UsageError(
                f"deploy.toml: region: Lambda is not available in {config.region!r}.", "Correct region in deploy.toml."
            )

    def __str__(self) -> str:
        """Return the line that most commands print first."""
        return f"{self.config.name} · {self.config.stage} · {self.config.region}"

    @property
    def name(self) -> str:
        """The name of the function and of most other resources, such as my-api-prod."""
        return f"{self.config.name}-{self.config.stage}"

    @property
    def is_preview(self) -> bool:
        """True for the stages of pull requests, such as pr-12, and for the pattern pr-* in the policy of their role."""
        return bool(re.fullmatch(r"pr-(\d+|\*)", self.config.stage))

    @property
    def command(self) -> str:
        """The command line that runs this tool for this stage."""
        return "./deploy.sh" if self.config.stage == "prod" else f"./deploy.sh --stage {self.config.stage}"

    @property
    def tags(self) -> dict[str, str]:
        """The tool's own tags. A resource without them was not created by this tool and is never changed."""
        return {"service": self.config.name, "stage": self.config.stage, "managed-by": "deploy.sh"}

    @property
    def all_tags(self) -> dict[str, str]:
        """The tags of every resource: the tool's own, and `tags` in deploy.toml with a record of their keys."""
        custom = self.config.tags
        return self.tags | custom | ({MANAGED_TAGS: TAG_SEPARATOR.join(sorted(custom))} if custom else {})

    @property
    def tag_list(self) -> list[Any]:
        """The list of all tags, with Key and Value, as half of AWS's APIs expect them."""
        return tag_list(self.all_tags)

    def tag_changes(self, current: Mapping[str, str]) -> dict[str, str | None]:
        """Return the tags to add to a resource with these tags, and None for each tag to remove.

        Tags that others added are never removed.
        """
        wanted = self.all_tags
        removable = [*current.get(MANAGED_TAGS, "").split(TAG_SEPARATOR), MANAGED_TAGS]
        added = {key: value for key, value in wanted.items() if current.get(key) != value}
        return {**added, **dict.fromkeys(key for key in removable if key in current and key not in wanted)}

    def with_config(self, **changes: Any) -> Stage:
        """Return the same stage with some configuration keys changed."""
        other = copy.copy(self)
        other.config = self.config.model_copy(update=changes)
        return other

    @cached_property
    def invoker(self) -> LambdaClient:
        """A Lambda client for Invoke: it outlasts the function's timeout and never repeats a call that may have run."""
        config = ClientConfig(retries={"total_max_attempts": 1}, read_timeout=INVOKE_READ_TIMEOUT_S, tcp_keepalive=True)
        return self.session.client("lambda", config=config)

    @property
    def account(self) -> str:
        """The ID of the AWS account."""
        return self.session.caller_arn().split(":")[4]

    @property
    def partition(self) -> str:
        """The AWS partition, such as aws."""
        return self.session.caller_arn().split(":")[1]

    def arn(self, service: str, resource: str, *, region: bool = True, account: bool = True) -> str:
        """Return the ARN of a resource in this account and Region, or without them where AWS leaves them out."""
        place = f"{self.config.region if region else ''}:{self.account if account else ''}"
        return f"arn:{self.partition}:{service}:{place}:{resource}"

    def list_all(self, service: Any, operation: Any, key: str, **params: Any) -> list[Any]:
        """Return the items of all pages of an operation. `key` is the part of its response that contains them."""
        client: Any = self.client(service)
        return [item for page in client.get_paginator(operation).paginate(**params) for item in page[key]]

    def wait_until(self, is_done: Callable[[], bool], failure: str, *, timeout_s: float = 300) -> None:
        """Call `is_done` every second until it returns True. Raise DeployError, starting with `failure`, after `timeout_s`."""
        deadline = self.clock() + timeout_s
        while not is_done():
            if self.clock() >= deadline:
                raise DeployError(f"{failure} within {timeout_s:.0f} s.", "Run the same command again to continue.")
            self.sleep(POLL_S)


def tag_list(tags: Mapping[str, str]) -> list[Any]:
    """Return tags as a list of Key and Value."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def run_concurrently(first: Callable[[], First], second: Callable[[], Second]) -> tuple[First, Second]:
    """Run both functions at the same time and return both results."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(second)
        return first(), future.result()
