"""EventBridge Scheduler: run a schedule that moto stores."""

import uuid
from typing import Any

from moto.scheduler.models import scheduler_backends

from embedded_aws.errors import AwsError
from embedded_aws.iam.roles import Roles
from embedded_aws.lambda_.invocations import Invocations

PRINCIPAL = "scheduler.amazonaws.com"


class Scheduler:
    """The schedules of one account."""

    def __init__(self, account: str, roles: Roles) -> None:
        self._account = account
        self._roles = roles

    def run(self, region: str, name: str, scheduled_at: str, invocations: Invocations) -> dict[str, Any]:
        """Invoke the target as at the scheduled time. Return Lambda's response. Raise AwsError if the role may not."""
        target = scheduler_backends[self._account][region].get_schedule(None, name).target
        role, function = target["RoleArn"], target["Arn"]
        can_assume = self._roles.can_assume(role, PRINCIPAL)
        if not (can_assume and self._roles.allow(role, "lambda:InvokeFunction", function)):
            raise AwsError("AccessDeniedException", f"{role} is not authorized to invoke {function}", 403)
        # https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
        event = target["Input"].replace("<aws.scheduler.scheduled-time>", scheduled_at)
        event = event.replace("<aws.scheduler.execution-id>", uuid.uuid4().hex[:16])
        return invocations.invoke({"FunctionName": function, "InvocationType": "Event", "Payload": event.encode()})
