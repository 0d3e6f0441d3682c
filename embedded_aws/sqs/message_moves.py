"""The tasks that move messages from a dead-letter queue back to the queues they came from.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html
"""

import uuid
from dataclasses import dataclass, field
from typing import Any

from moto.sqs.models import Message, Queue

from embedded_aws.clock import Clock, Delays
from embedded_aws.errors import AwsError
from embedded_aws.sqs.queues import Queues

MAX_RESULTS = 10
MAX_RATE = 500


@dataclass
class MoveTask:
    """A task. Its times are seconds on the emulator's clock."""

    source_arn: str
    destination_arn: str
    rate: int | None
    to_move: int
    started_at: float
    handle: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = "RUNNING"
    moved: int = 0
    failure: str = ""

    def describe(self) -> dict[str, Any]:
        """Return the task as ListMessageMoveTasks does. Only a running task has a handle."""
        out: dict[str, Any] = {
            "Status": self.status,
            "SourceArn": self.source_arn,
            "ApproximateNumberOfMessagesMoved": self.moved,
            "ApproximateNumberOfMessagesToMove": self.to_move,
            "StartedTimestamp": int(self.started_at * 1000),
        }
        optional = {
            "TaskHandle": self.handle if self.status == "RUNNING" else "",
            "DestinationArn": self.destination_arn,
            "MaxNumberOfMessagesPerSecond": self.rate,
            "FailureReason": self.failure,
        }
        return out | {key: value for key, value in optional.items() if value}


class MessageMoves:
    """The tasks of an account in all Regions. The caller holds the lock of the queues."""

    def __init__(self, clock: Clock, delays: Delays, queues: Queues) -> None:
        self._clock = clock
        self._delays = delays
        self._queues = queues
        self._tasks: list[MoveTask] = []

    def start(self, region: str, source_arn: str, destination_arn: str, rate: int | None) -> dict[str, Any]:
        """Start a task, which takes `Delays.move_s`. Messages that are in flight stay in the queue.

        An empty destination moves each message to the queue that it came from.
        """
        source = self._source(region, source_arn)
        if destination_arn and self._queues.by_arn(destination_arn) is None:
            raise _missing("DestinationArn")
        if destination_arn == source_arn:  # the message is not AWS's
            raise AwsError("InvalidParameterValue", "The source queue and the destination queue must be different.")
        if not self._queues.sources(source):
            raise AwsError("InvalidParameterValue", "Source queue must be configured as a Dead Letter Queue.")
        if rate is not None and not 1 <= rate <= MAX_RATE:  # the message is not AWS's
            message = f"Value {rate} for parameter MaxNumberOfMessagesPerSecond is invalid."
            raise AwsError("InvalidParameterValue", message)
        if any(task.status == "RUNNING" and task.source_arn == source_arn for task in self._tasks):
            raise AwsError(
                "InvalidParameterValue",
                "There is already a task running. Only one active task is allowed for a source queue arn at a given "
                "time.",
            )
        visible = self._queues.counts(source)[0]
        task = MoveTask(source_arn, destination_arn, rate, visible, self._clock.time())
        self._tasks.append(task)
        self._clock.call_later(self._delays.move_s, lambda: self._run(task, source))
        return {"TaskHandle": task.handle}

    def list(self, region: str, source_arn: str, count: int = 1) -> dict[str, Any]:
        """Return the last tasks of a queue, the latest first."""
        self._source(region, source_arn)
        tasks = [task for task in reversed(self._tasks) if task.source_arn == source_arn]
        return {"Results": [task.describe() for task in tasks[: min(count, MAX_RESULTS)]]}

    def cancel(self, handle: str) -> dict[str, Any]:
        """Stop a task that is running."""
        task = next((task for task in self._tasks if task.handle == handle and task.status == "RUNNING"), None)
        if task is None:
            raise AwsError("ResourceNotFoundException", "Task does not exist.", 404)
        task.status = "CANCELLED"
        return {"ApproximateNumberOfMessagesMoved": task.moved}

    def _run(self, task: MoveTask, source: Queue) -> None:
        """Move the visible messages. A moved message is a new one, with a new ID and a receive count of 0."""
        with self._queues.changed:
            if task.status != "RUNNING":
                return
            task.status = "COMPLETED"
            while message := self._queues.take(source):
                destination = self._queues.by_arn(task.destination_arn or getattr(message, "source_arn", ""))
                if destination is None:
                    self._queues.add(source, message)
                    task.status, task.failure = "FAILED", "CouldNotDetermineMessageSource"
                    return
                copy = Message(str(uuid.uuid4()), message.body, message.system_attributes)
                copy.message_attributes, copy.sender_id = message.message_attributes, message.sender_id
                copy.mark_sent()
                self._queues.add(destination, copy)
                self._queues.forget(source, message)
                task.moved += 1

    def _source(self, region: str, arn: str) -> Queue:
        """Return the queue with this ARN. Raise AwsError if it does not exist in the Region of the call."""
        source = self._queues.by_arn(arn)
        if source is None or source.region != region:
            raise _missing("SourceArn")
        return source


def _missing(parameter: str) -> AwsError:
    message = f"The resource that you specified for the {parameter} parameter doesn't exist."
    return AwsError("ResourceNotFoundException", message, 404)
