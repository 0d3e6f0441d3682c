"""Corrections of EventBridge Scheduler."""

from embedded_aws.calls import Call
from embedded_aws.errors import AwsError
from embedded_aws.iam.roles import Roles
from embedded_aws.moto_corrections.correction import Corrections, ServiceCorrections
from embedded_aws.scheduler.scheduler import PRINCIPAL


class SchedulerCorrections(ServiceCorrections):
    """Require that EventBridge Scheduler can assume the role of a schedule."""

    def __init__(self, account: str, roles: Roles) -> None:
        super().__init__(account)
        self._roles = roles

    def corrections(self) -> Corrections:
        """Return the corrections of calls."""
        return {
            ("scheduler", "CreateSchedule"): self._check_role,
            ("scheduler", "UpdateSchedule"): self._check_role,
        }

    def _check_role(self, call: Call) -> None:
        """Require a role that EventBridge Scheduler can assume. moto accepts any role.

        https://docs.aws.amazon.com/scheduler/latest/UserGuide/setting-up.html#setting-up-execution-role
        """
        if not self._roles.can_assume(call.params["Target"]["RoleArn"], PRINCIPAL):
            raise AwsError(
                "ValidationException",
                "The execution role you provide must allow AWS EventBridge Scheduler to assume the role.",
            )
