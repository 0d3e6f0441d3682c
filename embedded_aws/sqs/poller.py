"""Poll a queue for an event source mapping, and invoke the function with the messages."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from moto.sqs.exceptions import SQSException
from moto.sqs.models import Message, Queue

from embedded_aws.calls import POLLER, Call
from embedded_aws.errors import AwsError
from embedded_aws.faults import Faults
from embedded_aws.lambda_.data_plane import DataPlane
from embedded_aws.lambda_.state import EventSourceMapping, LambdaState, MappingSettings
from embedded_aws.sqs.events import failed_message_ids, sqs_event
from embedded_aws.sqs.queues import Queues

# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html: without MaximumConcurrency, Lambda begins with
# five batches at a time, and adds more each minute.
DEFAULT_CONCURRENCY = 5
MAX_CONCURRENCY = 1000
RECEIVE_SIZE = 10


class Poller:
    """Receive the messages of one queue, invoke the function, and delete the messages that it has processed.

    It uses the permissions of the function's role at that time. Messages that are not deleted become visible again
    when their visibility timeout has passed. A thread waits for messages, and others for the function.
    """

    def __init__(
        self, mapping: EventSourceMapping, state: LambdaState, queues: Queues, data_plane: DataPlane, faults: Faults
    ) -> None:
        self._mapping = mapping
        self._state = state
        self._queues = queues
        self._data_plane = data_plane
        self._faults = faults
        self._clock = state.clock
        self._running = 0
        self._resumes_at = 0.0
        self._closed = False
        self._pool = ThreadPoolExecutor(MAX_CONCURRENCY, thread_name_prefix="sqs-batch")
        self._thread = threading.Thread(target=self._poll, name="sqs-poller", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Check the settings of the mapping again."""
        with self._queues.changed:
            self._queues.changed.notify_all()

    def close(self) -> None:
        """Receive no more messages. Invocations that are running continue."""
        with self._queues.changed:
            self._closed = True
            self._queues.changed.notify_all()

    def join(self) -> None:
        """Wait until the invocations have ended."""
        self._thread.join()
        self._pool.shutdown()

    def _poll(self) -> None:
        """Process batches until the poller is closed."""
        try:
            while not self._closed:
                self._process_next_batch()
        finally:
            self._pool.shutdown(wait=False)  # its threads end after the batches that they process

    def _process_next_batch(self) -> None:
        """Wait until messages can be received, and process them in another thread. Return early if closed."""
        with self._queues.changed:
            self._queues.changed.wait_for(lambda: self._closed or self._can_receive())
            if self._closed:
                return
            self._wait_for_batch(*self._current())
            if self._closed or not self._can_receive():  # the mapping or the queue may have changed in the meantime
                return
            queue, settings = self._current()
            self._running += 1
        role, batch = self._role(settings), []
        try:
            batch = self._receive(queue, settings, role) if role else []
        finally:
            if batch:
                self._pool.submit(self._process, queue, settings, role, batch)
            else:
                self._finish()

    def _current(self) -> tuple[Queue, MappingSettings]:
        """Return the queue and the settings that are in use. Messages can be received."""
        queue, settings = self._queues.by_arn(self._mapping.queue_arn), self._mapping.running(self._clock.time())
        assert queue
        assert settings
        return queue, settings

    def _can_receive(self) -> bool:
        now = self._clock.time()
        settings = self._mapping.running(now)
        if settings is None or not settings.enabled or now < self._resumes_at:
            return False
        if self._running >= (settings.max_concurrency or DEFAULT_CONCURRENCY):
            return False
        queue = self._queues.by_arn(self._mapping.queue_arn)
        return queue is not None and self._queues.has_visible(queue)

    def _wait_for_batch(self, queue: Queue, settings: MappingSettings) -> None:
        """Wait until the batch is complete or its window has passed."""
        if not settings.window_s:
            return
        ends_at = self._clock.time() + settings.window_s
        self._clock.call_later(settings.window_s, self.wake)
        self._queues.changed.wait_for(
            lambda: (
                self._closed or self._clock.time() >= ends_at or self._queues.counts(queue)[0] >= settings.batch_size
            )
        )

    def _role(self, settings: MappingSettings) -> str:
        """Return the ARN of the role of the version that the mapping invokes, or "" if it does not exist."""
        try:
            with self._state.lock:
                function, qualifier = self._state.function({"FunctionName": settings.function})
                return str(self._state.version(function, qualifier).deployed.config["Role"])
        except AwsError:
            self._pause()
            return ""

    def _receive(self, queue: Queue, settings: MappingSettings, role: str) -> list[Message]:
        """Return the messages of a batch. Return none, and wait a little, if SQS refuses the call."""
        batch: list[Message] = []
        while len(batch) < settings.batch_size:
            size = min(settings.batch_size - len(batch), RECEIVE_SIZE)
            fault = self._faults.affecting(self._call("sqs", "ReceiveMessage", QueueUrl=queue.name))
            if (fault and not fault.runs_call) or not self._is_allowed(role, "ReceiveMessage", queue):
                self._pause()
                break
            with self._queues.changed:
                try:
                    timeout_s = int(queue.visibility_timeout)  # type: ignore[attr-defined]
                    received = self._queues.receive(queue, size, timeout_s, ["All"])
                except SQSException:  # too many messages are in flight
                    self._pause()
                    break
            if fault:  # the response is lost
                self._pause()
                break
            batch += received
            if len(received) < size:
                break
        return batch

    def _process(self, queue: Queue, settings: MappingSettings, role: str, batch: Sequence[Message]) -> None:
        """Invoke the function with a batch, and delete the messages that it has processed."""
        try:
            failed = self._invoke(queue, settings, batch)
            processed = [message for message in batch if message.id not in failed]
            if processed:
                self._delete(queue, role, processed)
        finally:
            self._finish()

    def _invoke(self, queue: Queue, settings: MappingSettings, batch: Sequence[Message]) -> set[str]:
        """Invoke the function. Return the IDs of the messages that have failed."""
        all_ids = {message.id for message in batch}
        fault = self._faults.affecting(self._call("lambda", "Invoke", FunctionName=settings.function))
        if fault and not fault.runs_call:
            self._pause()
            return all_ids
        name, qualifier = self._state.locate({"FunctionName": settings.function})
        try:
            result = self._data_plane.invoke(self._state, name, qualifier, sqs_event(queue, batch))
        except AwsError:  # such as a throttled invocation; its messages have been received nevertheless
            self._pause()
            return all_ids
        if fault or result.outcome.status != "success":
            return all_ids
        if not settings.reports_failures:
            return set()
        return failed_message_ids(result.outcome.payload, batch)

    def _delete(self, queue: Queue, role: str, messages: Sequence[Message]) -> None:
        fault = self._faults.affecting(self._call("sqs", "DeleteMessage", QueueUrl=queue.name))
        if (fault and not fault.runs_call) or not self._is_allowed(role, "DeleteMessage", queue):
            return
        with self._queues.changed:
            for message in messages:
                self._queues.delete(queue, str(message.receipt_handle))

    def _is_allowed(self, role: str, action: str, queue: Queue) -> bool:
        return self._state.roles.allow(role, f"sqs:{action}", queue.queue_arn)

    def _call(self, service: str, operation: str, **params: str) -> Call:
        return Call(service, operation, params, caller=POLLER, region=self._state.region)

    def _pause(self) -> None:
        """Wait before the next attempt, as Lambda does after errors."""
        delay_s = self._state.delays.poll_retry_s
        self._resumes_at = self._clock.time() + delay_s
        self._clock.call_later(delay_s, self.wake)

    def _finish(self) -> None:
        with self._queues.changed:
            self._running -= 1
            self._queues.changed.notify_all()
