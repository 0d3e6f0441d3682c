"""The operations on event source mappings, which connect SQS queues to functions.

https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
"""

from collections.abc import Callable
from typing import Protocol

from moto.sqs.models import Queue

from embedded_aws.calls import Params
from embedded_aws.errors import AwsError, conflict, invalid, not_found
from embedded_aws.lambda_.deployed_version import Config
from embedded_aws.lambda_.functions import page
from embedded_aws.lambda_.state import (
    MAPPING_NOT_FOUND,
    EventSourceMapping,
    LambdaState,
    MappingSettings,
    new_id,
)
from embedded_aws.sqs.queues import Queues

SUPPORTED = {
    "EventSourceArn", "FunctionName", "Enabled", "BatchSize", "MaximumBatchingWindowInSeconds", "ScalingConfig",
    "FunctionResponseTypes", "Tags", "UUID",
}  # fmt: skip
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html#events-sqs-permissions
ROLE_ACTIONS = ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")
MAX_BATCH_WITHOUT_WINDOW = 10


class Poller(Protocol):
    """Receives the messages of a mapping."""

    def wake(self) -> None:
        """Check the settings of the mapping again."""

    def close(self) -> None:
        """Receive no more messages."""


StartPoller = Callable[[EventSourceMapping, LambdaState], Poller]


class EventSourceMappings:
    """The operations on event source mappings in one Region."""

    def __init__(self, state: LambdaState, queues: Queues, start_poller: StartPoller) -> None:
        self._state = state
        self._queues = queues
        self._start_poller = start_poller

    def create_event_source_mapping(self, params: Params) -> Config:
        """Connect a queue to a function. The mapping is in state Creating for `Delays.mapping_s`."""
        arn = params.get("EventSourceArn", "")
        if ":sqs:" not in arn:  # the message is not AWS's
            raise invalid("The embedded AWS supports only the ARNs of SQS queues as EventSourceArn.")
        settings = self._settings(params, None)
        for existing in self._state.mappings.values():
            if (existing.queue_arn, existing.settings.function) == (arn, settings.function):
                raise conflict(
                    f'An event source mapping with SQS arn (" {arn} ") and function (" {_name(settings.function)} ") '
                    f"already exists. Please update or delete the existing mapping with UUID {existing.uuid}"
                )
        queue = self._queue(arn)
        role = self._version_config(settings)["Role"]
        for action in ROLE_ACTIONS:
            if not self._state.roles.allow_in_all_services(role, f"sqs:{action}", arn):
                message = f"The provided execution role does not have permissions to call {action} on SQS"
                raise invalid(message)
        self._check_visibility_timeout(settings, queue)
        now = self._state.clock.time()
        tags = dict(params.get("Tags") or {})
        mapping = EventSourceMapping(new_id(), arn, settings, tags, now, now + self._state.delays.mapping_s)
        self._state.mappings[mapping.uuid] = mapping
        poller = self._start_poller(mapping, self._state)
        mapping.wake, mapping.close = poller.wake, poller.close
        self._state.clock.call_later(self._state.delays.mapping_s, mapping.wake)
        return self._describe(mapping)

    def get_event_source_mapping(self, params: Params) -> Config:
        """Return a mapping."""
        return self._describe(self._mapping(params))

    def list_event_source_mappings(self, params: Params) -> Config:
        """List the mappings of the Region, of a queue, or of a function, a version or an alias."""
        mappings = list(self._state.mappings.values())
        if queue := params.get("EventSourceArn"):
            mappings = [mapping for mapping in mappings if mapping.queue_arn == queue]
        if params.get("FunctionName"):
            function = self._state.arn(*self._state.locate(params))
            mappings = [mapping for mapping in mappings if mapping.settings.function == function]
        return page([self._describe(mapping) for mapping in mappings], "EventSourceMappings", params)

    def update_event_source_mapping(self, params: Params) -> Config:
        """Change the settings of a mapping. They take effect after `Delays.mapping_s`."""
        mapping = self._mapping(params)
        self._check_stable(mapping, "update")
        settings = self._settings(params, mapping.settings)
        self._check_visibility_timeout(settings, self._queue(mapping.queue_arn))
        now = self._state.clock.time()
        if settings.enabled == mapping.settings.enabled:
            mapping.transition = "Updating"
        else:
            mapping.transition = "Enabling" if settings.enabled else "Disabling"
        mapping.previous, mapping.settings = mapping.settings, settings
        mapping.modified_at, mapping.stable_at = now, now + self._state.delays.mapping_s
        self._state.clock.call_later(self._state.delays.mapping_s, mapping.wake)
        return self._describe(mapping)

    def delete_event_source_mapping(self, params: Params) -> Config:
        """Delete a mapping. It is in state Deleting for `Delays.mapping_s`."""
        mapping = self._mapping(params)
        self._check_stable(mapping, "delete")
        mapping.close()
        mapping.transition, mapping.stable_at = "Deleting", float("inf")
        described = self._describe(mapping)
        self._state.clock.call_later(self._state.delays.mapping_s, lambda: self._remove(mapping))
        return described

    def _remove(self, mapping: EventSourceMapping) -> None:
        with self._state.lock:
            self._state.mappings.pop(mapping.uuid, None)

    def _mapping(self, params: Params) -> EventSourceMapping:
        if params["UUID"] not in self._state.mappings:
            raise not_found(MAPPING_NOT_FOUND)
        return self._state.mappings[params["UUID"]]

    def _check_stable(self, mapping: EventSourceMapping, verb: str) -> None:
        """Raise ResourceInUseException while the mapping changes (hashicorp/terraform-provider-aws#14042)."""
        if self._state.clock.time() < mapping.stable_at:
            message = f"Cannot {verb} the event source mapping because it is in use."
            raise AwsError("ResourceInUseException", message)

    def _settings(self, params: Params, old: MappingSettings | None) -> MappingSettings:
        """Return the settings of a call. An update keeps those that it does not contain."""
        if unsupported := sorted(key for key, value in params.items() if value and key not in SUPPORTED):
            raise invalid(f"The embedded AWS does not support {', '.join(unsupported)}.")  # the message is not AWS's
        function = old.function if old else ""
        if not old or "FunctionName" in params:
            found, qualifier = self._state.function(params)
            self._state.check_qualifier(found, qualifier)
            function = self._state.arn(found.name, qualifier)
        scaling = params.get("ScalingConfig", {"MaximumConcurrency": old.max_concurrency} if old else {})
        settings = MappingSettings(
            function,
            params.get("Enabled", old.enabled if old else True),
            params.get("BatchSize", old.batch_size if old else 10),
            params.get("MaximumBatchingWindowInSeconds", old.window_s if old else 0),
            (scaling or {}).get("MaximumConcurrency"),
            tuple(params.get("FunctionResponseTypes", old.response_types if old else ())),
        )
        if settings.batch_size > MAX_BATCH_WITHOUT_WINDOW and not settings.window_s:
            raise invalid(
                "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than "
                f"{MAX_BATCH_WITHOUT_WINDOW}"
            )
        return settings

    def _queue(self, arn: str) -> Queue:
        queue = self._queues.by_arn(arn)
        if queue is None or queue.region != self._state.region:
            raise invalid(
                "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. "
                "SQS Error Message: The specified queue does not exist."
            )
        return queue

    def _version_config(self, settings: MappingSettings) -> Config:
        function, qualifier = self._state.function({"FunctionName": settings.function})
        return self._state.version(function, qualifier).deployed.config

    def _check_visibility_timeout(self, settings: MappingSettings, queue: Queue) -> None:
        """Require a visibility timeout of at least the function's timeout."""
        visibility_s = int(queue.visibility_timeout)  # type: ignore[attr-defined]
        timeout_s = self._version_config(settings)["Timeout"]
        if visibility_s < timeout_s:
            raise invalid(
                f"Queue visibility timeout: {visibility_s} seconds is less than Function timeout: {timeout_s} seconds"
            )

    def _describe(self, mapping: EventSourceMapping) -> Config:
        settings = mapping.settings
        out: Config = {
            "UUID": mapping.uuid,
            "BatchSize": settings.batch_size,
            "MaximumBatchingWindowInSeconds": settings.window_s,
            "EventSourceArn": mapping.queue_arn,
            "FunctionArn": settings.function,
            "LastModified": mapping.modified_at,
            "State": mapping.state(self._state.clock.time()),
            "StateTransitionReason": "USER_INITIATED",
            "FunctionResponseTypes": list(settings.response_types),
            "EventSourceMappingArn": (
                f"arn:aws:lambda:{self._state.region}:{self._state.account}:event-source-mapping:{mapping.uuid}"
            ),
        }
        if settings.max_concurrency is not None:
            out["ScalingConfig"] = {"MaximumConcurrency": settings.max_concurrency}
        return out


def _name(function_arn: str) -> str:
    """Return the name of a function with its qualifier, as in the messages of AWS."""
    return function_arn.partition(":function:")[2]
