"""The monthly cost of the service, at the prices in prices.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deploy.errors import suppress_errors
from deploy.plan import Plan
from deploy.release import versions as list_versions
from deploy.resource import Cost, Prices, Resource
from deploy.stack import Stack
from deploy.stage import Stage

PRICES: Prices = tomllib.loads(Path(__file__).with_name("prices.toml").read_text(encoding="utf-8"))
FREE_STORAGE_MB = 512  # in /tmp
DAYS = 30  # a month, and the time for which requests are counted


@dataclass(frozen=True)
class Workload:
    """The requests of a month, which take `duration_ms` each in an environment with `memory_mb`."""

    requests: int
    duration_ms: float
    memory_mb: int

    @property
    def gb_s(self) -> float:
        """Billed gigabyte-seconds."""
        return self.seconds * self.memory_mb / 1024

    @property
    def seconds(self) -> float:
        """Billed seconds."""
        return self.requests * self.duration_ms / 1000


def measure_workload(stage: Stage) -> Workload:
    """Return the requests of the last 30 days and their mean duration. `requests` is 0 if there were none."""
    now = datetime.now(UTC)

    def sums(metric: str) -> tuple[float, float]:
        points = stage.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName=metric,
            Dimensions=[{"Name": "FunctionName", "Value": stage.name}],
            StartTime=now - timedelta(days=DAYS),
            EndTime=now + timedelta(hours=1),  # the clock of this machine may be slow
            Period=24 * 3600,
            Statistics=["Sum", "SampleCount"],
        )["Datapoints"]
        return sum(point["Sum"] for point in points), sum(point["SampleCount"] for point in points)

    requests, _ = sums("Invocations")
    total_ms, count = sums("Duration")
    return Workload(round(requests) if count else 0, total_ms / count if count else 0, stage.config.memory_mb)


def request_costs(stack: Stack, workload: Workload, *, free_tier: bool = False) -> dict[str, float]:
    """Return US dollars by AWS service. With `free_tier`, subtract what an account gets free every month."""
    prices, config = PRICES, stack.stage.config
    for component in stack.components:
        prices = component.adjust_prices(prices)
    compute, logs = prices["lambda"], prices["cloudwatch"]
    requests = max(workload.requests - free_tier * compute["free_requests"], 0)
    gb_s = max(workload.gb_s - free_tier * compute["free_gb_s"], 0)
    gb_s_price = compute["gb_s"][config.architecture]
    storage_gb_s = workload.seconds * (config.ephemeral_storage_mb - FREE_STORAGE_MB) / 1024
    costs = {
        "Lambda": requests / 1e6 * compute["million_requests"]
        + gb_s * gb_s_price
        + storage_gb_s * compute["ephemeral_gb_s"]
    }
    for component in stack.components:
        costs |= component.request_costs(prices, workload.requests, free_tier=free_tier)
    logged_kb = workload.requests * sum(component.log_kb_per_request for component in stack.components)
    costs["logs"] = max(logged_kb / 1024**2 - free_tier * logs["free_logs_gb"], 0) * logs["logs_gb"]
    return costs


def fixed_costs(stack: Stack, *, versions: int, missing: Collection[str] = ()) -> list[Cost]:
    """Return what the components cost without a request, while `versions` versions are kept.

    Resources with an ID in `missing`, and parts of resources with a name in it, do not exist, and cost nothing.
    """
    existing = [part for part in stack.components if not isinstance(part, Resource) or part.id not in missing]
    costs = [cost for component in existing for cost in component.fixed_costs(PRICES, versions=versions)]
    return [cost for cost in costs if cost.part not in missing]


def count_versions(stage: Stage) -> int:
    """Return the number of published versions, or 0 if the function does not exist."""
    with suppress_errors("ResourceNotFoundException"):
        return len(list_versions(stage))
    return 0


def monthly_totals(stack: Stack, plan: Plan) -> tuple[float, float]:
    """Return US dollars a month before and after a deploy, with as many requests as in the last 30 days."""
    workload, versions = measure_workload(stack.stage), count_versions(stack.stage)
    before = 0.0
    if plan.live:
        live_config = {key: value for part in stack.components for key, value in part.live_config(plan.live).items()}
        missing = [change.resource_id for change in plan.changes if change.action == "create"]
        missing += [key for change in plan.changes for key, field in change.fields.items() if field.current is None]
        before = _total(Stack(stack.stage.with_config(**live_config)), workload, versions, missing=missing)
    if plan.new_version:
        versions = min(versions + 1, stack.stage.config.keep_releases)
    return before, _total(stack, workload, versions)


def _total(stack: Stack, workload: Workload, versions: int, missing: Collection[str] = ()) -> float:
    fixed = fixed_costs(stack, versions=versions, missing=missing)
    requests = request_costs(stack, replace(workload, memory_mb=stack.stage.config.memory_mb))
    return sum(cost.dollars for cost in fixed) + sum(requests.values())
