"""The event source mapping, with which Lambda reads jobs from the queue and calls the jobs function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from deploy.errors import error_code, suppress_errors
from deploy.iam import Statement, allow, tag_condition
from deploy.resource import Cost, Phase, Prices
from deploy.resources.function import ALIAS
from deploy.resources.job_queue import JobQueue
from deploy.resources.job_resource import JobResource, queue_arn
from deploy.stage import Stage
from deploy.state import State

SETTLED_STATES = ("Enabled", "Disabled")
# AWS checks the permissions of the role and the queue's visibility timeout, and learns of changes some seconds late.
RETRYABLE_MESSAGES = ("permissions to call", "Queue visibility timeout")
# Lambda always waits for messages with five long polls of up to 20 s
# (aws.amazon.com/blogs/compute/estimating-cost-for-amazon-sqs-message-processing-using-aws-lambda).
POLLERS, POLL_S = 5, 20
MONTH_S = 30 * 24 * 3600


class EventSourceMapping(JobResource):
    """The mapping of the queue to the alias of the jobs function, and the final visibility timeout of the queue.

    AWS refuses a mapping if the timeout of the function is longer than the visibility timeout. So `JobQueue` makes the
    visibility timeout longer before a release, and this resource makes it shorter after it.
    """

    kind = "event source mapping"
    has_tags = True
    phase = Phase.AFTER_RELEASE

    def __init__(self, stage: Stage, queue: JobQueue) -> None:
        super().__init__(stage)
        self.queue = queue

    @property
    def name(self) -> str:
        return f"{self.stage.name}-jobs"

    @property
    def _function_arn(self) -> str:
        return self.stage.arn("lambda", f"function:{self.name}")

    def desired(self) -> State | None:
        """Return a batch size of 1, so that a crash or a timeout does not cost other jobs one of their attempts."""
        jobs = self.config.jobs
        if not jobs:
            return None
        return {
            "FunctionName": f"{self._function_arn}:{ALIAS}",
            "Enabled": True,
            "BatchSize": 1,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "ScalingConfig": {"MaximumConcurrency": jobs.max_concurrency},
            "VisibilityTimeout": jobs.visibility_timeout_s,
        }

    def read(self) -> State | None:
        """Return None for a mapping that is being deleted, if a new one is wanted: `create` waits."""
        mapping = self._find()
        if mapping is None or (self.config.jobs and mapping["State"] == "Deleting"):
            return None
        return {
            **mapping,
            "FunctionName": mapping["FunctionArn"],
            "Enabled": mapping["State"] not in ("Disabled", "Disabling"),
            "VisibilityTimeout": self.queue.visibility_timeout_s() if self.config.jobs else None,
        }

    def _find(self) -> Any:
        """Return AWS's description of the mapping, or None if it does not exist."""
        arn, key = queue_arn(self.stage), "EventSourceMappings"
        mappings = self.stage.list_all("lambda", "list_event_source_mappings", key, EventSourceArn=arn)
        own_prefix = f"{self._function_arn}:"  # the ARN of the function, of a version or of an alias
        own = [mapping for mapping in mappings if f"{mapping['FunctionArn']}:".startswith(own_prefix)]
        return own[0] if own else None

    def read_tags(self, state: State) -> State:
        return {"tags": self.stage.client("lambda").list_tags(Resource=state["EventSourceMappingArn"]).get("Tags", {})}

    def create(self, desired: State) -> None:
        client, settings = self.stage.client("lambda"), {**desired}
        visibility_timeout_s = settings.pop("VisibilityTimeout")
        self.stage.wait_until(lambda: self._find() is None, f"Lambda did not delete an earlier mapping of {self.name}")
        self._retry(
            lambda: client.create_event_source_mapping(
                EventSourceArn=queue_arn(self.stage), Tags=self.stage.all_tags, **settings
            )
        )
        self._wait_until_settled()
        if self.queue.visibility_timeout_s() != visibility_timeout_s:
            self.queue.update({"VisibilityTimeout": visibility_timeout_s})

    def update(self, changed: State) -> None:
        client, settings = self.stage.client("lambda"), {**changed}
        visibility_timeout_s = settings.pop("VisibilityTimeout", None)
        if settings:
            uuid = self._find()["UUID"]
            self._retry(lambda: client.update_event_source_mapping(UUID=uuid, **settings))
            self._wait_until_settled()
        if visibility_timeout_s:
            self.queue.update({"VisibilityTimeout": visibility_timeout_s})

    def _retry(self, call: Callable[[], object]) -> None:
        def succeeded() -> bool:
            try:
                call()
            except ClientError as error:
                is_changing = error_code(error) == "ResourceInUseException"
                if is_changing or any(message in str(error) for message in RETRYABLE_MESSAGES):
                    return False
                raise
            return True

        self.stage.wait_until(
            succeeded,
            f"Lambda did not accept a change of the event source mapping {self.name} (a change is in progress, or its role "
            "cannot read the queue yet)",
        )

    def _wait_until_settled(self) -> None:
        self.stage.wait_until(
            lambda: (self._find() or {}).get("State") in SETTLED_STATES,
            f"The event source mapping {self.name} was not ready",
        )

    def delete(self) -> None:
        """Delete the mapping and wait until it is gone, so that Lambda reads no more messages."""
        client, mapping = self.stage.client("lambda"), self._find()
        if mapping:
            with suppress_errors("ResourceNotFoundException"):
                self._retry(lambda: client.delete_event_source_mapping(UUID=mapping["UUID"]))
        failure = f"Lambda did not delete the event source mapping {self.name}"
        self.stage.wait_until(lambda: self._find() is None, failure)

    def add_tags(self, tags: Mapping[str, str]) -> None:
        self.stage.client("lambda").tag_resource(Resource=self._find()["EventSourceMappingArn"], Tags=tags)

    def remove_tags(self, keys: Sequence[str]) -> None:
        self.stage.client("lambda").untag_resource(Resource=self._find()["EventSourceMappingArn"], TagKeys=keys)

    @property
    def _any_arn(self) -> str:
        return self.stage.arn("lambda", "event-source-mapping:*")  # AWS chooses the IDs of mappings

    def tag_permissions(self) -> list[Statement]:
        if not self.config.jobs:
            return []
        is_own = tag_condition("Resource", self.stage.tags)
        return [allow("lambda", "ListTags TagResource UntagResource", self._any_arn, when=is_own)]

    def deploy_permissions(self) -> list[Statement]:
        """Include the deletion: a deploy does that once deploy.toml does not contain [jobs] any more.

        AWS supports no narrower resource for CreateEventSourceMapping and ListEventSourceMappings
        (the Service Authorization Reference: list_awslambda.html).
        """
        if not self.config.jobs:
            return []
        actions = "CreateEventSourceMapping DeleteEventSourceMapping UpdateEventSourceMapping"
        of_function = {"lambda:FunctionArn": f"{self._function_arn}*"}
        return [
            allow("lambda", actions, "*", when=of_function),
            allow("lambda", "ListEventSourceMappings", "*"),
            allow("lambda", "TagResource", self._any_arn, when=tag_condition("Request", self.stage.tags)),
        ]

    def fixed_costs(self, prices: Prices, *, versions: int) -> list[Cost]:
        """Return the cost of the requests with which Lambda waits for jobs."""
        if not self.config.jobs:
            return []
        requests, free = POLLERS * MONTH_S / POLL_S, prices["sqs"]["free_requests"] / 1e6
        dollars = requests / 1e6 * prices["sqs"]["million_requests"]
        return [Cost(f"waiting for jobs ({free:.0f} million requests of an account are free)", dollars)]
