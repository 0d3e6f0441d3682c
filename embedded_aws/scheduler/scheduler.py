"""EventBridge Scheduler: run a schedule that moto stores."""

import uuid
from typing import Any

from moto.scheduler.models import scheduler_backends
from moto.sqs.models import sqs_backends

from embedded_aws.errors import AwsError
from embedded_aws.iam.roles import Roles
from embedded_aws.lambda_.invocations import Invocations
from embedded_aws.moto_state import moto_lock
from embedded_aws.sqs.queues import Queues

PRINCIPAL = "scheduler.amazonaws.com"


class Scheduler:
    """The schedules of one account."""

    def __init__(self, account: str, roles: Roles, queues: Queues) -> None:
        self._account = account
        self._roles = roles
        self._queues = queues

    def run(self, region: str, group: str, name: str, scheduled_at: str, invocations: Invocations) -> dict[str, Any]:
        """Send the input to the target, a function or a queue, as at the scheduled time. Ignore a disabled schedule.

        Return the response of the target. Raise AwsError if the role may not call it, or if it does not exist.
        """
        with moto_lock:
            schedule = scheduler_backends[self._account][region].get_schedule(group, name)
        if schedule.state == "DISABLED":
            return {}
        target = schedule.target
        role, arn = target["RoleArn"], target["Arn"]
        action = "sqs:SendMessage" if ":sqs:" in arn else "lambda:InvokeFunction"
        can_assume = self._roles.can_assume(role, PRINCIPAL, role_context(self._account, region, group))
        if not (can_assume and self._roles.allow(role, action, arn)):
            raise AwsError("AccessDeniedException", f"{role} is not authorized to perform {action} on {arn}", 403)
        # https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
        event = str(target.get("Input", "")).replace("<aws.scheduler.scheduled-time>", scheduled_at)
        event = event.replace("<aws.scheduler.execution-id>", uuid.uuid4().hex[:16])
        event = event.replace("<aws.scheduler.schedule-arn>", schedule.arn)
        event = event.replace("<aws.scheduler.attempt-number>", "1")
        if action == "sqs:SendMessage":
            return self._send(arn, event)
        return invocations.invoke({"FunctionName": arn, "InvocationType": "Event", "Payload": event.encode()})

    def _send(self, arn: str, body: str) -> dict[str, Any]:
        with self._queues.changed:
            queue = self._queues.by_arn(arn)
            if queue is None:
                raise AwsError("QueueDoesNotExist", "The specified queue does not exist.")
            message = sqs_backends[self._account][queue.region].send_message(queue.name, body)
        return {"MessageId": message.id}


def role_context(account: str, region: str, group: str) -> dict[str, str]:
    """Return the condition keys with which EventBridge Scheduler assumes the role of a schedule.

    https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
    """
    source = f"arn:aws:scheduler:{region}:{account}:schedule-group/{group}"
    return {"aws:SourceAccount": account, "aws:SourceArn": source}
