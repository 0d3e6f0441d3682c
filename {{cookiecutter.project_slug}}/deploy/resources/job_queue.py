"""The SQS queue that contains the jobs, and what it has in common with the dead-letter queue."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

from deploy.config import Jobs
from deploy.errors import DeployError, error_code, suppress_errors
from deploy.iam import Statement, allow
from deploy.resource import Component, Outputs
from deploy.resources.job_resource import JobResource, failed_queue_arn, queue_arn
from deploy.state import Reference, State

if TYPE_CHECKING:
    from deploy.release import Live

RETENTION_S = 14 * 24 * 3600  # the maximum
MAX_RECEIVE_COUNT = 5  # attempts to run a job, including those that Lambda could not start because of throttling
JSON_ATTRIBUTES = ("RedrivePolicy", "RedriveAllowPolicy")
# The second form is the one of older versions of the API, which AWS still uses
# (docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-json-faqs.html).
MISSING = ("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue")
DELETED_RECENTLY = ("QueueDeletedRecently", "AWS.SimpleQueueService.QueueDeletedRecently")


class MessageCounts(NamedTuple):
    """The approximate numbers of messages in a queue, by their state.

    `running` includes the jobs that failed and are hidden until their next attempt: SQS does not distinguish them.
    """

    waiting: int
    running: int
    delayed: int

    @property
    def total(self) -> int:
        """The number of all messages."""
        return sum(self)

    def __str__(self) -> str:
        """Return the numbers of jobs, such as "2 waiting · 1 running or to be retried"."""
        return f"{self.waiting + self.delayed} waiting · {self.running} running or to be retried"


class JobVariables(Component):
    """The variables that tell the service where its jobs are."""

    def variables(self) -> dict[str, Any]:
        if not self.config.jobs:
            return {}
        return {"JOBS_MODULE": self.config.jobs.module, "JOBS_QUEUE_URL": Reference("queue.url")}

    def live_config(self, live: Live) -> dict[str, Any]:
        """Return the key jobs, which is None if the live version has no jobs: their queue costs money."""
        variables = live.settings.get("Environment", {}).get("Variables", {})
        if "JOBS_QUEUE_URL" not in variables:
            return {"jobs": None}
        return {"jobs": self.config.jobs or Jobs(module=variables["JOBS_MODULE"])}


class Queue(JobResource):
    """A queue. Its state contains numbers and dictionaries; in AWS, all attributes are text."""

    kind = "queue"
    has_tags = True

    @property
    @abstractmethod
    def arn(self) -> str:
        """The ARN of the queue."""

    @property
    def name(self) -> str:
        return self.arn.rpartition(":")[2]

    def find_url(self) -> str | None:
        """Return the URL of the queue, or None if it does not exist."""
        with suppress_errors(*MISSING):
            return str(self.stage.client("sqs").get_queue_url(QueueName=self.name)["QueueUrl"])
        return None

    def require_url(self) -> str:
        """Return the URL of the queue. Raise DeployError if it does not exist."""
        if url := self.find_url():
            return url
        raise DeployError(
            f"The queue {self.name} does not exist: stage {self.config.stage} was not deployed with [jobs].",
            f"Deploy it: {self.stage.command}",
        )

    def read(self) -> State | None:
        url = self.find_url()
        with suppress_errors(*MISSING):  # a queue that was deleted keeps its URL for up to 60 s
            if url:
                tags = self.stage.client("sqs").list_queue_tags(QueueUrl=url).get("Tags", {})
                return {**self._read_attributes(url), "url": url, "tags": tags}
        return None

    def _read_attributes(self, url: str) -> State:
        response = self.stage.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        return {
            name: json.loads(value) if name in JSON_ATTRIBUTES else int(value) if value.isdecimal() else value
            for name, value in response["Attributes"].items()
        }

    def create(self, desired: State) -> Outputs:
        """Create the queue and wait until it can be used, which takes about a second.

        If a queue with its name was deleted recently, wait until SQS allows the name again, which takes up to 60 s.
        """
        attributes: Any = self._as_text(desired)
        urls: list[str] = []

        def is_created() -> bool:
            with suppress_errors(*DELETED_RECENTLY):
                response = self.stage.client("sqs").create_queue(
                    QueueName=self.name, Attributes=attributes, tags=self.stage.all_tags
                )
                urls.append(response["QueueUrl"])
            return bool(urls)

        self.stage.wait_until(is_created, f"{self.name} was deleted recently, and SQS did not accept its name again")
        self.stage.wait_until(lambda: self.read() is not None, f"{self.name} was created, but could not be used")
        return self.outputs({"url": urls[0]})

    def update(self, changed: State) -> Outputs | None:
        attributes: Any = self._as_text(changed)
        self.stage.client("sqs").set_queue_attributes(QueueUrl=self.require_url(), Attributes=attributes)
        return None

    def _as_text(self, attributes: State) -> dict[str, str]:
        return {
            name: json.dumps(value) if name in JSON_ATTRIBUTES else str(value) for name, value in attributes.items()
        }

    def delete(self) -> None:
        """Delete the queue with its messages, and wait until it is gone, which takes up to 60 s."""
        with suppress_errors(*MISSING):
            self.stage.client("sqs").delete_queue(QueueUrl=self.require_url())
        self.stage.wait_until(lambda: self.read() is None, f"SQS did not delete {self.name}")

    def count_messages(self) -> MessageCounts:
        """Return the numbers of messages."""
        attributes = self._read_attributes(self.require_url())
        return MessageCounts(
            attributes["ApproximateNumberOfMessages"],
            attributes["ApproximateNumberOfMessagesNotVisible"],
            attributes["ApproximateNumberOfMessagesDelayed"],
        )

    def validate_deletion(self) -> None:
        """Raise DeployError if the queue contains messages."""
        try:
            counts = self.count_messages()
        except ClientError as error:
            if error_code(error) not in MISSING:
                raise
            return
        if counts.total:
            jobs = f"{counts.total} {'job' if counts.total == 1 else 'jobs'}"
            raise DeployError(
                f"[jobs] cannot be removed, because the queue {self.name} contains {jobs}: {counts}.",
                self.deletion_hint,
            )

    @property
    @abstractmethod
    def deletion_hint(self) -> str:
        """The advice if the queue should be deleted, but is not empty."""

    def add_tags(self, tags: Mapping[str, str]) -> None:
        self.stage.client("sqs").tag_queue(QueueUrl=self.require_url(), Tags=tags)

    def remove_tags(self, keys: Sequence[str]) -> None:
        self.stage.client("sqs").untag_queue(QueueUrl=self.require_url(), TagKeys=keys)

    def tag_permissions(self) -> list[Statement]:
        return [allow("sqs", "UntagQueue", self.arn)] if self.config.jobs else []

    def deploy_permissions(self) -> list[Statement]:
        """Include the deletion: a deploy does that once deploy.toml does not contain [jobs] any more."""
        if not self.config.jobs:
            return []
        actions = """
            CreateQueue DeleteQueue GetQueueAttributes GetQueueUrl ListQueueTags SetQueueAttributes TagQueue
        """
        return [allow("sqs", actions, self.arn)]


class JobQueue(Queue):
    """The queue. A message that was received five times without success is moved to the dead-letter queue."""

    @property
    def arn(self) -> str:
        return queue_arn(self.stage)

    def desired(self) -> State | None:
        if not self.config.jobs:
            return None
        return {
            "VisibilityTimeout": self.config.jobs.visibility_timeout_s,
            "MessageRetentionPeriod": RETENTION_S,
            "SqsManagedSseEnabled": "true",
            "RedrivePolicy": {
                "deadLetterTargetArn": failed_queue_arn(self.stage),
                "maxReceiveCount": MAX_RECEIVE_COUNT,
            },
        }

    def read(self) -> State | None:
        """Return the desired visibility timeout in place of a longer one: `EventSourceMapping` shortens it.

        Until the release, a version of the jobs function with a longer timeout may be live.
        """
        state = super().read()
        if state and self.config.jobs:
            state["VisibilityTimeout"] = min(state["VisibilityTimeout"], self.config.jobs.visibility_timeout_s)
        return state

    def visibility_timeout_s(self) -> int:
        """Return the current visibility timeout, or 0 if the queue does not exist."""
        with suppress_errors(*MISSING):
            if url := self.find_url():
                return int(self._read_attributes(url)["VisibilityTimeout"])
        return 0

    def outputs(self, state: State | None) -> Outputs:
        """Return the URL of the queue."""
        return {"queue.url": state["url"]} if state else {}

    @property
    def deletion_hint(self) -> str:
        return f"Restore [jobs] in deploy.toml until the jobs are done, see {self.stage.command} jobs"

    def status(self, live: Live) -> list[tuple[str, str]]:
        """Return the numbers of jobs."""
        if not self.config.jobs or not self.find_url():
            return []
        return [("jobs", str(self.count_messages()))]
