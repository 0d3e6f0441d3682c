"""The EventBridge schedules that queue jobs at certain times, their group, and the role that EventBridge assumes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from deploy.config import JobSchedule
from deploy.errors import DeployError, error_code, suppress_errors
from deploy.iam import Statement, allow
from deploy.resource import Check, Phase
from deploy.resources.job_resource import JobResource, queue_arn
from deploy.resources.role import Role
from deploy.stage import Stage, tag_list
from deploy.state import State

OTHERS = "other schedules"  # those in the group that deploy.toml does not contain; the name of a job has no space
NEW_ROLE = "assume the role"  # in the message while EventBridge does not know a new role yet


def wanted_schedules(stage: Stage) -> Mapping[str, JobSchedule]:
    """Return the schedules in deploy.toml by the name of their job."""
    return stage.config.jobs.schedule if stage.config.jobs else {}


class ScheduleRole(JobResource, Role):
    """A role that may only send messages to the queue. Its name is short, because IAM allows 64 characters."""

    principal = "scheduler.amazonaws.com"

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage, uses=[])

    @property
    def name(self) -> str:
        return f"{self.stage.name}-cron"

    def trust(self) -> Statement:
        """Return a statement that allows EventBridge to assume the role for schedules of this account only.

        Source: docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
        """
        return super().trust() | {"Condition": {"StringEquals": {"aws:SourceAccount": self.stage.account}}}

    def statements(self) -> list[Statement]:
        return [allow("sqs", "SendMessage", queue_arn(self.stage))]

    def desired(self) -> State | None:
        return super().desired() if wanted_schedules(self.stage) else None

    def deploy_permissions(self) -> list[Statement]:
        """Include the deletion: a deploy does that once deploy.toml does not contain schedules any more."""
        if not self.config.jobs:
            return []
        return [*super().deploy_permissions(), *super().destroy_permissions()]

    def destroy_permissions(self) -> list[Statement]:
        return []

    def tag_permissions(self) -> list[Statement]:
        return super().tag_permissions() if self.config.jobs else []

    def checks(self) -> list[Check]:
        return super().checks() if wanted_schedules(self.stage) else []


class ScheduleGroup(JobResource):
    """The group, whose tags say that this tool created the schedules in it: schedules have no tags."""

    kind = "schedule group"
    has_tags = True

    @property
    def _arn(self) -> str:
        return self.stage.arn("scheduler", f"schedule-group/{self.name}")

    def desired(self) -> State | None:
        return {"State": "ACTIVE"} if wanted_schedules(self.stage) else None

    def read(self) -> State | None:
        scheduler = self.stage.client("scheduler")
        with suppress_errors("ResourceNotFoundException"):
            group = scheduler.get_schedule_group(Name=self.name)
            if group["State"] == "DELETING":  # its tags may be gone already
                return {"State": group["State"]}
            tags = scheduler.list_tags_for_resource(ResourceArn=self._arn)["Tags"]
            return {"State": group["State"], "tags": tags}
        return None

    def is_being_deleted(self) -> bool:
        """Return True if the group was deleted, or is being deleted, which takes a while."""
        return (self.read() or {}).get("State") != "ACTIVE"

    def create(self, desired: State) -> None:
        self.stage.client("scheduler").create_schedule_group(Name=self.name, Tags=self.stage.tag_list)

    def update(self, changed: State) -> None:
        """Create the group again once EventBridge has deleted it."""
        self._wait_until_deleted()
        self.create(changed)

    def _wait_until_deleted(self) -> None:
        self.stage.wait_until(lambda: self.read() is None, f"EventBridge did not delete the schedule group {self.name}")

    def delete(self) -> None:
        """Delete the group with its schedules, and wait until it is gone."""
        with suppress_errors("ConflictException", "ResourceNotFoundException"):  # it is, or was, deleted already
            self.stage.client("scheduler").delete_schedule_group(Name=self.name)
        self._wait_until_deleted()

    def add_tags(self, tags: Mapping[str, str]) -> None:
        self.stage.client("scheduler").tag_resource(ResourceArn=self._arn, Tags=tag_list(tags))

    def remove_tags(self, keys: Sequence[str]) -> None:
        self.stage.client("scheduler").untag_resource(ResourceArn=self._arn, TagKeys=keys)

    def tag_permissions(self) -> list[Statement]:
        return [allow("scheduler", "UntagResource", self._arn)] if self.config.jobs else []

    def deploy_permissions(self) -> list[Statement]:
        """Include the deletion: a deploy does that once deploy.toml does not contain schedules any more."""
        if not self.config.jobs:
            return []
        actions = "CreateScheduleGroup DeleteScheduleGroup GetScheduleGroup ListTagsForResource TagResource"
        return [allow("scheduler", actions, self._arn)]


class JobSchedules(JobResource):
    """The schedules. Each has the name of its job, and sends a message to the queue."""

    kind = "schedules"
    phase = Phase.AFTER_RELEASE

    def __init__(self, stage: Stage, group: ScheduleGroup) -> None:
        super().__init__(stage)
        self.group = group

    def desired(self) -> State | None:
        wanted = wanted_schedules(self.stage)
        if not wanted:
            return None
        return {OTHERS: [], **{name: self._settings(name, schedule) for name, schedule in wanted.items()}}

    def _settings(self, job: str, schedule: JobSchedule) -> State:
        # The scheduled time: EventBridge may send the message twice, and the ID of its attempt would differ.
        message = {"job": job, "id": f"{job} <aws.scheduler.scheduled-time>", "arguments": {}}
        return {
            "ScheduleExpression": schedule.at,
            "ScheduleExpressionTimezone": schedule.timezone,
            "State": "ENABLED",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {
                "Arn": queue_arn(self.stage),
                "RoleArn": ScheduleRole(self.stage).arn,
                "Input": json.dumps(message),
            },
        }

    def read(self) -> State | None:
        """Return None while the group is being deleted, because that deletes its schedules, too."""
        names = self.list_names()
        if not names or self.group.is_being_deleted():
            return None
        others = [name for name in names if name not in wanted_schedules(self.stage)]
        return {OTHERS: others, **{name: self.read_schedule(name) for name in names}}

    def read_schedule(self, name: str) -> State:
        """Return the properties of a schedule. AWS adds a policy for retries to the target, which is left out."""
        schedule: Any = self.stage.client("scheduler").get_schedule(GroupName=self.name, Name=name)
        target = {key: schedule["Target"].get(key) for key in ("Arn", "RoleArn", "Input")}
        return {**schedule, "Target": target}

    def list_names(self) -> list[str]:
        """Return the names of the schedules in the group."""
        with suppress_errors("ResourceNotFoundException"):
            items = self.stage.list_all("scheduler", "list_schedules", "Schedules", GroupName=self.name)
            return sorted(item["Name"] for item in items)
        return []

    def create(self, desired: State) -> None:
        self.update(desired)

    def update(self, changed: State) -> None:
        existing, scheduler = self.list_names(), self.stage.client("scheduler")
        for name, settings in changed.items():
            if name == OTHERS:
                self._delete([other for other in existing if other not in wanted_schedules(self.stage)])
            else:
                change = scheduler.update_schedule if name in existing else scheduler.create_schedule
                self._retry(name, change, settings)

    def _retry(self, name: str, change: Any, settings: State) -> None:
        def succeeded() -> bool:
            try:
                change(GroupName=self.name, Name=name, **settings)
            except ClientError as error:
                if error_code(error) != "ValidationException":
                    raise
                if NEW_ROLE in str(error):
                    return False
                raise DeployError(
                    f"EventBridge did not accept the schedule {name}: {error.response['Error'].get('Message')}",
                    f"Correct [jobs.schedule.{name}] in deploy.toml, then deploy again.",
                ) from None
            return True

        self.stage.wait_until(succeeded, f"EventBridge could not assume the role of the schedule {name}")

    def delete(self) -> None:
        self._delete(self.list_names())

    def _delete(self, names: list[str]) -> None:
        for name in names:
            with suppress_errors("ResourceNotFoundException"):
                self.stage.client("scheduler").delete_schedule(GroupName=self.name, Name=name)

    def deploy_permissions(self) -> list[Statement]:
        """Include the deletion: a deploy does that once deploy.toml does not contain a schedule any more.

        AWS supports no narrower resource for ListSchedules.
        """
        if not self.config.jobs:
            return []
        schedules = self.stage.arn("scheduler", f"schedule/{self.name}/*")
        return [
            allow("scheduler", "CreateSchedule DeleteSchedule GetSchedule UpdateSchedule", schedules),
            allow("scheduler", "ListSchedules", "*"),
        ]
