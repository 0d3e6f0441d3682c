"""Provisioned concurrency: execution environments of a version that are ready before requests come."""

from typing import Any

from deploy.aws import Aws, absent_is_none
from deploy.config import Service
from deploy.problem import Problem
from deploy.resource import Change, Resource, State, apply, compare

SCALED: dict[str, Any] = {"ServiceNamespace": "lambda", "ScalableDimension": "lambda:function:ProvisionedConcurrency"}
READY_S = 900  # AWS starts the environments in about a minute, more of them in a few


class ProvisionedConcurrency(Resource):
    """Of a version, and not of the alias: that would start the environments of a new version only once it is live.

    A schedule belongs to the version too, since Lambda refuses it on the alias of such a version. A new version starts
    with what the schedule says of the one that is `live` now.
    """

    kind = "provisioned concurrency"

    def __init__(self, service: Service, aws: Aws, version: str, live: str | None = None) -> None:
        super().__init__(service, aws)
        self.version = version
        self.live = live

    @property
    def name(self) -> str:
        return f"{self.service.full_name}:{self.version}"

    @property
    def _version(self) -> dict[str, str]:
        return {"FunctionName": self.service.full_name, "Qualifier": self.version}

    @property
    def _target(self) -> dict[str, Any]:
        return {**SCALED, "ResourceId": f"function:{self.name}"}

    def desired(self) -> State | None:
        wanted = self.service.provisioned_concurrency
        if not wanted.most:
            return None
        scheduled = self._scheduled(self.live) if wanted.schedule and self.live else None
        return {
            "executions": wanted.executions if scheduled is None else scheduled,
            "schedule": sorted(
                (f"{self.service.full_name}-{number}", entry.at, wanted.timezone, entry.executions)
                for number, entry in enumerate(wanted.schedule, 1)
            ),
        }

    def _scheduled(self, version: str) -> int | None:
        """The number that this version's schedule has set last; None where it has no schedule."""
        resource = f"function:{self.service.full_name}:{version}"
        found = self.aws.application_autoscaling.describe_scalable_targets(
            ServiceNamespace="lambda", ResourceIds=[resource]
        )
        return next((target["MinCapacity"] for target in found["ScalableTargets"]), None)

    def read(self) -> State | None:
        executions: int | None = 0
        with absent_is_none("ProvisionedConcurrencyConfigNotFoundException", "ResourceNotFoundException"):
            found = self.aws.lambda_.get_provisioned_concurrency_config(**self._version)
            ready = found["Status"] == "READY"
            executions = found["RequestedProvisionedConcurrentExecutions"] if ready else None
        actions = self.aws.application_autoscaling.describe_scheduled_actions(**self._target)["ScheduledActions"]
        schedule = sorted(
            (
                action["ScheduledActionName"],
                action["Schedule"],
                action.get("Timezone", "UTC"),
                action["ScalableTargetAction"]["MinCapacity"],
            )
            for action in actions
        )
        return {"executions": executions, "schedule": schedule} if executions != 0 or schedule else None

    def create(self) -> None:
        self.update({key: value for key, value in (self.desired() or {}).items() if value})

    def update(self, changed: State) -> None:
        executions = (self.desired() or {})["executions"]  # as scheduled until now
        if changed.get("executions"):
            self._provide(executions)
        elif "executions" in changed:
            self._give_back()
        if "schedule" in changed:
            self._unschedule()
            self._schedule(executions, changed["schedule"])

    def _provide(self, executions: int) -> None:
        """Raises Problem when AWS gives up; then nothing is left of it."""
        self.aws.lambda_.put_provisioned_concurrency_config(**self._version, ProvisionedConcurrentExecutions=executions)

        def ready() -> bool:
            now = self.aws.lambda_.get_provisioned_concurrency_config(**self._version)
            if now["Status"] == "FAILED":
                reason = now.get("StatusReason", "no reason given")
                self._give_back()
                raise Problem(
                    f"Lambda could not start {executions} environments of version {self.version} ahead of requests: "
                    f"{reason}",
                    "INIT failed there, though not in the smoke test: see ./deploy.sh logs --errors"
                    if "INIT" in reason
                    else "Correct what it names and deploy again.",
                )
            return now["Status"] == "READY"

        self.aws.wait(f"starting the environments of version {self.version}", ready, timeout_s=READY_S)

    def _schedule(self, executions: int, actions: list[tuple[str, str, str, int]]) -> None:
        scaling = self.aws.application_autoscaling
        if actions:
            scaling.register_scalable_target(
                **self._target, MinCapacity=executions, MaxCapacity=executions, Tags=self.service.tags
            )
        for name, at, timezone, executions in actions:
            scaling.put_scheduled_action(
                **self._target,
                ScheduledActionName=name,
                Schedule=at,
                Timezone=timezone,
                ScalableTargetAction={"MinCapacity": executions, "MaxCapacity": executions},
            )

    def _unschedule(self) -> None:
        """Scheduled actions go with their target."""
        if self._scheduled(self.version) is not None:
            self.aws.application_autoscaling.deregister_scalable_target(**self._target)

    def _give_back(self) -> None:
        self.aws.lambda_.delete_provisioned_concurrency_config(**self._version)

    def delete(self) -> None:
        self._unschedule()
        self._give_back()


def keep_ready(service: Service, aws: Aws, version: str, live: str | None) -> list[Change]:
    """Gives this version what deploy.toml says, and waits until its environments are ready; raises Problem."""
    changes = planned(service, aws, version, live)
    apply(changes)
    return changes


def planned(service: Service, aws: Aws, version: str, live: str | None) -> list[Change]:
    """What would give this version what deploy.toml says."""
    concurrency = ProvisionedConcurrency(service, aws, version, live)
    return compare([concurrency], {concurrency: concurrency.read()})


def release_all_but(service: Service, aws: Aws, version: str | None) -> None:
    """Gives back what other versions hold: it is paid for whether it serves requests or not."""
    for other in every_version(service, aws):
        if other.version != version:
            other.delete()


def every_version(service: Service, aws: Aws) -> list[ProvisionedConcurrency]:
    """The versions that hold any, or have a schedule."""
    function, found = service.full_name, set()
    with absent_is_none("ResourceNotFoundException"):
        configs = aws.lambda_.get_paginator("list_provisioned_concurrency_configs").paginate(FunctionName=function)
        found = {one["FunctionArn"] for page in configs for one in page["ProvisionedConcurrencyConfigs"]}
    targets = aws.application_autoscaling.get_paginator("describe_scalable_targets").paginate(ServiceNamespace="lambda")
    found |= {one["ResourceId"] for page in targets for one in page["ScalableTargets"]}
    qualifiers = {name.rpartition(":")[2] for name in found if f"function:{function}:" in name}
    versions = sorted((one for one in qualifiers if one.isdigit()), key=int)  # somebody may have put some on an alias
    return [ProvisionedConcurrency(service, aws, version) for version in versions]
