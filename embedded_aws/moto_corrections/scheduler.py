"""Corrections of EventBridge Scheduler."""

import re
from typing import Any
from zoneinfo import ZoneInfo

from moto.scheduler.models import EventBridgeSchedulerBackend, ScheduleGroup, scheduler_backends

from embedded_aws import model_validation
from embedded_aws.calls import Call
from embedded_aws.clock import Clock, Delays
from embedded_aws.errors import AwsError
from embedded_aws.iam.roles import Roles
from embedded_aws.moto_corrections.correction import Corrections, EditResponse, Patch, ServiceCorrections
from embedded_aws.moto_state import moto_lock
from embedded_aws.scheduler.scheduler import PRINCIPAL, role_context

# https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
CRON_FIELD = r"[0-9A-Z*?/,#LW-]+"
EXPRESSIONS = (
    re.compile(rf"cron\({CRON_FIELD}(?: {CRON_FIELD}){{5}}\)"),
    re.compile(r"rate\((?:1 (?:minute|hour|day)|(?!1 )[1-9]\d* (?:minutes|hours|days))\)"),
    re.compile(r"at\(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\)"),
)
SCHEDULE_CALLS = ("CreateSchedule", "UpdateSchedule")


class SchedulerCorrections(ServiceCorrections):
    """Validate schedules and their roles, and delete schedule groups asynchronously."""

    def __init__(self, account: str, clock: Clock, delays: Delays, roles: Roles) -> None:
        super().__init__(account)
        self._clock = clock
        self._delays = delays
        self._roles = roles
        self._deleting: set[ScheduleGroup] = set()

    def corrections(self) -> Corrections:
        """Return the corrections of calls."""
        return {
            **{("scheduler", operation): self._put_schedule for operation in SCHEDULE_CALLS},
            ("scheduler", "CreateScheduleGroup"): self._create_group,
            ("scheduler", "DeleteScheduleGroup"): self._delete_group,
            **{
                ("scheduler", operation): self._check_tagged_resource
                for operation in ("ListTagsForResource", "TagResource", "UntagResource")
            },
        }

    def patches(self) -> list[Patch]:
        """Return the replacements of moto's code for schedule groups, whose deletion takes a while."""
        deleting, describe = self._deleting, ScheduleGroup.to_dict

        def to_dict(group: ScheduleGroup) -> dict[str, Any]:
            return describe(group) | ({"State": "DELETING"} if group in deleting else {})

        def delete_schedule_group(backend: EventBridgeSchedulerBackend, name: str) -> None:
            """Delete the group with its schedules after `Delays.group_s`. moto deletes them immediately.

            https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-group-delete.html
            """
            group = backend.get_schedule_group(name)
            deleting.add(group)

            def remove() -> None:
                with moto_lock:  # a timer calls this function in its own thread
                    deleting.discard(group)
                    group.schedules.clear()
                    backend.tagger.delete_all_tags_for_resource(group.arn)
                    backend.schedule_groups.pop(name, None)

            self._clock.call_later(self._delays.group_s, remove)

        return [
            (ScheduleGroup, "to_dict", to_dict),
            (EventBridgeSchedulerBackend, "delete_schedule_group", delete_schedule_group),
        ]

    def _put_schedule(self, call: Call) -> EditResponse | None:
        """Require an active group, a valid expression, and a role that EventBridge Scheduler can assume.

        moto accepts any role and expression. UpdateSchedule enables a schedule if the call states no state; moto
        removes the state.
        https://docs.aws.amazon.com/scheduler/latest/UserGuide/setting-up.html#setting-up-execution-role
        https://docs.aws.amazon.com/scheduler/latest/APIReference/API_UpdateSchedule.html
        """
        params = call.params
        model_validation.check(params, call.model.input_shape if call.model else None)
        name = params.get("GroupName") or "default"
        group = self._groups(call).get(name)
        if group is None:
            raise _group_not_found(name)
        if group in self._deleting:  # the message is not AWS's
            raise AwsError("ConflictException", f"Schedule group {name} is being deleted.", 409)
        if not any(expression.fullmatch(params["ScheduleExpression"]) for expression in EXPRESSIONS):
            raise AwsError("ValidationException", f"Invalid Schedule Expression {params['ScheduleExpression']}.")
        if not _is_timezone(params.get("ScheduleExpressionTimezone") or "UTC"):
            raise AwsError("ValidationException", "Invalid ScheduleExpressionTimezone.")  # the message is not AWS's
        context = role_context(self._account, call.region, name)
        if not self._roles.can_assume(params["Target"]["RoleArn"], PRINCIPAL, context):
            raise AwsError(
                "ValidationException",
                "The execution role you provide must allow AWS EventBridge Scheduler to assume the role.",
            )

        def enable(response: object) -> None:
            schedule = group.get_schedule(params["Name"])
            schedule.state = schedule.state or "ENABLED"

        return enable

    def _create_group(self, call: Call) -> None:
        """Refuse the name of an existing group. moto replaces the group."""
        model_validation.check(call.params, call.model.input_shape if call.model else None)
        if call.params["Name"] in self._groups(call):
            raise AwsError("ConflictException", f"Schedule group {call.params['Name']} already exists.", 409)

    def _delete_group(self, call: Call) -> None:
        """Refuse to delete the default group, a missing one, and one that is being deleted. moto fails or accepts it.

        https://docs.aws.amazon.com/scheduler/latest/APIReference/API_DeleteScheduleGroup.html
        """
        name = call.params["Name"]
        if name == "default":  # the message is not AWS's
            raise AwsError("ValidationException", "The default schedule group cannot be deleted.")
        group = self._groups(call).get(name)
        if group is None:
            raise _group_not_found(name)
        if group in self._deleting:  # the message is not AWS's
            raise AwsError("ConflictException", f"Schedule group {name} is being deleted.", 409)

    def _check_tagged_resource(self, call: Call) -> None:
        """Allow tags only on existing schedule groups. moto accepts any ARN.

        https://docs.aws.amazon.com/scheduler/latest/APIReference/API_TagResource.html
        """
        arn = call.params["ResourceArn"]
        model_validation.check(call.params, call.model.input_shape if call.model else None)
        if all(group.arn != arn for group in self._groups(call).values()):
            raise AwsError("ResourceNotFoundException", f"Resource {arn} does not exist.", 404)

    def _groups(self, call: Call) -> dict[str, ScheduleGroup]:
        return scheduler_backends[self._account][call.region].schedule_groups


def _group_not_found(name: str) -> AwsError:
    return AwsError("ResourceNotFoundException", f"Schedule group {name} does not exist.", 404)


def _is_timezone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True
