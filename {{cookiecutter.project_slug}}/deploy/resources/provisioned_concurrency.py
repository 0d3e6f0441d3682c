"""Provisioned concurrency: execution environments of a version that are started before requests arrive."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from deploy.errors import DeployError, suppress_errors
from deploy.iam import Statement, allow, allow_linked_role, tag_condition
from deploy.plan import Change, apply_changes, compare
from deploy.resource import Cost, Phase, Prices, ReleaseStep, Resource
from deploy.stage import Stage
from deploy.state import State

if TYPE_CHECKING:
    from deploy.release import Live

SERVICE = "application-autoscaling"  # changes the number of environments at the times in the schedule
LINKED_ROLE = "lambda.application-autoscaling.amazonaws.com"
NAMESPACE: Any = {"ServiceNamespace": "lambda"}
DIMENSION: Any = {"ScalableDimension": "lambda:function:ProvisionedConcurrency"}
READY_TIMEOUT_S = 900  # AWS starts the first environments in about a minute, many of them in some minutes
MONTH_S = 30 * 24 * 3600
ScheduledAction = tuple[str, str, str, int]  # name, schedule, time zone and number of environments


class VersionConcurrency(Resource):
    """The provisioned concurrency of a version, and the schedule that changes it.

    It belongs to the version: on the alias, environments would start only once the version is live. Lambda rejects a
    schedule on an alias whose version has provisioned concurrency, so the schedule belongs to the version, too.
    `executions` is the number to start with.
    """

    kind = "provisioned concurrency"
    phase = Phase.NEVER  # a release step creates and deletes it

    def __init__(self, stage: Stage, version: str, executions: int = 0) -> None:
        super().__init__(stage)
        self.version = version
        self.executions = executions

    @property
    def name(self) -> str:
        return f"{self.stage.name}:{self.version}"

    @property
    def _qualified(self) -> dict[str, str]:
        return {"FunctionName": self.stage.name, "Qualifier": self.version}

    @property
    def _target(self) -> dict[str, Any]:
        return {**NAMESPACE, **DIMENSION, "ResourceId": f"function:{self.name}"}

    def desired(self) -> State | None:
        wanted = self.config.provisioned_concurrency
        if not wanted.most:
            return None
        schedule: list[ScheduledAction] = [
            (f"{self.stage.name}-{number}{self._tags_suffix}", entry.at, wanted.timezone, entry.executions)
            for number, entry in enumerate(wanted.schedule, 1)
        ]
        return {"executions": self.executions, "schedule": sorted(schedule)}

    @property
    def _tags_suffix(self) -> str:
        """A hash of `tags`. A change of them renames the actions, so the scalable target, which has the tags, is replaced."""
        tags = json.dumps(self.config.tags, sort_keys=True)
        return f"-{hashlib.sha256(tags.encode()).hexdigest()[:8]}" if self.config.tags else ""

    def read(self) -> State | None:
        """Return None for `executions` if the environments are not ready."""
        executions: int | None = 0
        with suppress_errors("ProvisionedConcurrencyConfigNotFoundException", "ResourceNotFoundException"):
            config = self.stage.client("lambda").get_provisioned_concurrency_config(**self._qualified)
            executions = config["RequestedProvisionedConcurrentExecutions"] if config["Status"] == "READY" else None
        actions = self.stage.list_all(SERVICE, "describe_scheduled_actions", "ScheduledActions", **self._target)
        schedule: list[ScheduledAction] = sorted(
            (
                action["ScheduledActionName"],
                action["Schedule"],
                action.get("Timezone", "UTC"),
                action["ScalableTargetAction"]["MinCapacity"],
            )
            for action in actions
        )
        return {"executions": executions, "schedule": schedule} if executions != 0 or schedule else None

    def create(self, desired: State) -> None:
        self.update({key: value for key, value in desired.items() if value})

    def update(self, changed: State) -> None:
        if changed.get("executions"):
            self._start(changed["executions"])
        elif "executions" in changed:
            self._stop()
        if "schedule" in changed:
            self._delete_schedule()
            self._create_schedule(changed["schedule"])

    def _start(self, executions: int) -> None:
        """Start this many environments and wait for them. Raise DeployError, and leave none, if Lambda cannot."""
        client = self.stage.client("lambda")
        client.put_provisioned_concurrency_config(**self._qualified, ProvisionedConcurrentExecutions=executions)

        def is_ready() -> bool:
            config = client.get_provisioned_concurrency_config(**self._qualified)
            if config["Status"] == "FAILED":
                reason = config.get("StatusReason", "it gave no reason")
                self._stop()
                raise DeployError(
                    f"Lambda could not start {executions} environments of version {self.version} ahead of requests: "
                    f"{reason}",
                    "The start failed, although the smoke test passed: see ./deploy.sh logs --errors"
                    if "INIT" in reason
                    else "Fix the cause, then deploy again.",
                )
            return config["Status"] == "READY"

        failure = f"The {executions} environments of version {self.version} were not ready"
        self.stage.wait_until(is_ready, failure, timeout_s=READY_TIMEOUT_S)

    def _stop(self) -> None:
        self.stage.client("lambda").delete_provisioned_concurrency_config(**self._qualified)

    def _create_schedule(self, actions: list[ScheduledAction]) -> None:
        client = self.stage.client("application-autoscaling")
        if actions:
            client.register_scalable_target(
                **self._target, MinCapacity=self.executions, MaxCapacity=self.executions, Tags=self.stage.all_tags
            )
        for name, schedule, timezone, executions in actions:
            client.put_scheduled_action(
                **self._target,
                ScheduledActionName=name,
                Schedule=schedule,
                Timezone=timezone,
                ScalableTargetAction={"MinCapacity": executions, "MaxCapacity": executions},
            )

    def _delete_schedule(self) -> None:
        """Delete the target that is scaled, and with it the scheduled actions."""
        if scheduled_executions(self.stage, self.version) is not None:
            self.stage.client("application-autoscaling").deregister_scalable_target(**self._target)

    def delete(self) -> None:
        self._delete_schedule()
        self._stop()


def scheduled_executions(stage: Stage, version: str) -> int | None:
    """Return the number that the schedule of a version has set last, or None if it has no schedule."""
    response = stage.client("application-autoscaling").describe_scalable_targets(
        **NAMESPACE, ResourceIds=[f"function:{stage.name}:{version}"]
    )
    return next((target["MinCapacity"] for target in response["ScalableTargets"]), None)


class ProvisionedConcurrency(ReleaseStep):
    """Start the environments of a new version before it is live, and stop those of other versions afterwards.

    A new version starts with the number that the schedule has set for the live one.
    """

    def before_live(self, version: str, live_version: str | None) -> bool:
        resource = self._version(version, live_version)
        changes = self._compare(resource)
        apply_changes(changes, [resource], {})
        return bool(changes)

    def planned_changes(self, version: str) -> list[Change]:
        return self._compare(self._version(version, version))

    def _version(self, version: str, live_version: str | None) -> VersionConcurrency:
        wanted = self.config.provisioned_concurrency
        scheduled = scheduled_executions(self.stage, live_version) if wanted.schedule and live_version else None
        return VersionConcurrency(self.stage, version, wanted.executions if scheduled is None else scheduled)

    def _compare(self, resource: VersionConcurrency) -> list[Change]:
        return compare([resource], {resource: resource.read()}, {})

    def after_live(self, version: str | None) -> None:
        """Stop the environments of other versions: they cost the same whether they serve requests or not."""
        for resource in self._existing():
            if resource.version != version:
                resource.delete()

    def resources(self) -> list[Resource]:
        return [*self._existing()]

    def _existing(self) -> list[VersionConcurrency]:
        """Return a resource for each version that has provisioned concurrency or a schedule."""
        stage, names = self.stage, set[str]()
        with suppress_errors("ResourceNotFoundException"):
            key = "ProvisionedConcurrencyConfigs"
            configs = stage.list_all("lambda", "list_provisioned_concurrency_configs", key, FunctionName=stage.name)
            names = {config["FunctionArn"] for config in configs}
        targets = stage.list_all(SERVICE, "describe_scalable_targets", "ScalableTargets", **NAMESPACE)
        names |= {target["ResourceId"] for target in targets}
        qualifiers = {name.rpartition(":")[2] for name in names if f"function:{self.stage.name}:" in name}
        versions = sorted((qualifier for qualifier in qualifiers if qualifier.isdigit()), key=int)  # no aliases
        return [VersionConcurrency(self.stage, version) for version in versions]

    def deploy_permissions(self) -> list[Statement]:
        function = self.stage.arn("lambda", f"function:{self.stage.name}")
        targets, tags = self.stage.arn(SERVICE, "scalable-target/*"), self.stage.tags
        linked_role = self.stage.arn("iam", f"role/aws-service-role/{LINKED_ROLE}/*", region=False)
        actions = """
            DeleteProvisionedConcurrencyConfig GetProvisionedConcurrencyConfig ListProvisionedConcurrencyConfigs
            PutProvisionedConcurrencyConfig
        """
        scheduling = "DeregisterScalableTarget PutScheduledAction"
        return [
            allow("lambda", actions, function, f"{function}:*"),
            allow(SERVICE, "DescribeScalableTargets DescribeScheduledActions", "*"),
            allow(SERVICE, "RegisterScalableTarget TagResource", targets, when=tag_condition("Request", tags)),
            allow(SERVICE, scheduling, targets, when=tag_condition("Resource", tags)),
            allow_linked_role(linked_role, LINKED_ROLE),
        ]

    def fixed_costs(self, prices: Prices, *, versions: int) -> list[Cost]:
        """Return the cost of the largest number of environments, as if they were ready all the time."""
        wanted = self.config.provisioned_concurrency
        if not wanted.most:
            return []
        price = prices["provisioned_concurrency"]["idle_gb_s"][self.config.architecture]
        dollars = wanted.most * self.config.memory_mb / 1024 * MONTH_S * price
        note = ", at most (depends on the schedule)" if wanted.schedule else ""
        return [Cost(f"{wanted.most} environments that are ready{note}", dollars)]

    def adjust_prices(self, prices: Prices) -> Prices:
        """Return the prices for requests that find an environment ready, as if all of them did."""
        if not self.config.provisioned_concurrency.most:
            return prices
        gb_s = prices["provisioned_concurrency"]["gb_s"]
        return {**prices, "lambda": {**prices["lambda"], "gb_s": gb_s, "free_gb_s": 0}}

    def live_config(self, live: Live) -> dict[str, Any]:
        state = VersionConcurrency(self.stage, live.version).read() or {"executions": 0, "schedule": []}
        most = max([state["executions"] or 0, *(executions for *_, executions in state["schedule"])])
        wanted = self.config.provisioned_concurrency
        return {"provisioned_concurrency": wanted.model_copy(update={"executions": most, "schedule": []})}

    def status(self, live: Live) -> list[tuple[str, str]]:
        state = VersionConcurrency(self.stage, live.version).read() or {"executions": 0, "schedule": []}
        scheduled = f" · {len(state['schedule'])} scheduled changes" if state["schedule"] else ""
        return [("ready", f"{state['executions'] or 0} environments{scheduled}")]
