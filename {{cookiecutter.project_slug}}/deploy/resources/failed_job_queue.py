"""The dead-letter queue, which contains the jobs that failed five times."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from deploy.errors import DeployError
from deploy.iam import Statement, allow
from deploy.resources.job_queue import RETENTION_S, Queue
from deploy.resources.job_resource import failed_queue_arn, queue_arn
from deploy.state import State

PEEK_WAIT_S = 1
MOVE_TIMEOUT_S = 900  # SQS moves up to 500 messages in a second
ALREADY_MOVING = "already a task running"  # in the message of an error that the API reference does not list


class FailedJob(NamedTuple):
    """A message in the dead-letter queue."""

    queued: datetime
    body: str


class FailedJobQueue(Queue):
    """The dead-letter queue."""

    @property
    def arn(self) -> str:
        return failed_queue_arn(self.stage)

    def desired(self) -> State | None:
        if not self.config.jobs:
            return None
        return {
            "MessageRetentionPeriod": RETENTION_S,
            "SqsManagedSseEnabled": "true",
            "RedriveAllowPolicy": {"redrivePermission": "byQueue", "sourceQueueArns": [queue_arn(self.stage)]},
        }

    def peek(self, limit: int) -> list[FailedJob]:
        """Return up to this many failed jobs, sorted by time. SQS does not return the oldest ones first.

        They stay in the queue.
        """
        found: dict[str, FailedJob] = {}
        while True:  # SQS returns some of the messages, and may return one of them again
            response = self.stage.client("sqs").receive_message(
                QueueUrl=self.require_url(),
                MaxNumberOfMessages=10,
                VisibilityTimeout=0,
                WaitTimeSeconds=PEEK_WAIT_S,
                MessageSystemAttributeNames=["SentTimestamp"],
            )
            messages = {message["MessageId"]: message for message in response.get("Messages", [])}
            is_new = not messages.keys() <= found.keys()
            for identifier, message in messages.items():
                queued = datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC)
                found[identifier] = FailedJob(queued, message["Body"])
            if not is_new or len(found) >= limit:
                return sorted(found.values())[:limit]

    def retry(self) -> int:
        """Move all failed jobs back to the queue and wait until that is done. Return their approximate number.

        Raise DeployError if SQS could not move them.
        """
        sqs = self.stage.client("sqs")
        try:
            sqs.start_message_move_task(SourceArn=self.arn, DestinationArn=queue_arn(self.stage))
        except ClientError as error:
            if ALREADY_MOVING not in str(error):
                raise
        task: Any = {}

        def is_done() -> bool:
            for latest in sqs.list_message_move_tasks(SourceArn=self.arn, MaxResults=1).get("Results", []):
                task.update(latest)
            return task.get("Status", "RUNNING") not in ("RUNNING", "CANCELLING")

        self.stage.wait_until(is_done, "SQS did not move all failed jobs", timeout_s=MOVE_TIMEOUT_S)
        if task["Status"] != "COMPLETED":
            raise DeployError(
                f"SQS did not move all failed jobs: {task.get('FailureReason') or task['Status']}",
                f"See {self.stage.command} jobs, then run the same command again.",
            )
        return int(task.get("ApproximateNumberOfMessagesMoved", 0))

    @property
    def deletion_hint(self) -> str:
        command = f"{self.stage.command} jobs"
        return (
            f"Restore [jobs] in deploy.toml. See {command}, and run them again with {command} retry, or delete them: "
            f"aws sqs purge-queue --region {self.config.region} --queue-url "
            f"{self.find_url()}"
        )

    def deploy_permissions(self) -> list[Statement]:
        """Include what `jobs` needs to show the failed jobs."""
        reading = [allow("sqs", "ReceiveMessage", self.arn)] if self.config.jobs else []
        return super().deploy_permissions() + reading

    def destroy_permissions(self) -> list[Statement]:
        """Return what `jobs retry` needs."""
        if not self.config.jobs:
            return []
        actions = "DeleteMessage ListMessageMoveTasks ReceiveMessage StartMessageMoveTask"
        return [allow("sqs", actions, self.arn), allow("sqs", "SendMessage", queue_arn(self.stage))]
