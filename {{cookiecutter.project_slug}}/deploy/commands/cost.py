"""./deploy.sh cost: what the service costs a month: what stands still, and what requests cost.

The prices are those of deploy/prices.toml, with their date.
"""

from __future__ import annotations

import tomllib
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deploy.aws import Aws, absent_is_none
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
from deploy.config import ProvisionedConcurrency, Service
{% else %}
from deploy.config import Service
{% endif %}
{% if cookiecutter.cold_starts == 'snapstart' %}
from deploy.release import Live, versions
{% else %}
from deploy.release import Live
{% endif %}
from deploy.resource import Resource, State
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
from deploy.resources import Stack, provisioned_concurrency
{% else %}
from deploy.resources import Stack
{% endif %}

PRICES = tomllib.loads((Path(__file__).parent.parent / "prices.toml").read_text(encoding="utf-8"))
DAYS = 30
{% if cookiecutter.cold_starts != 'accept' %}
MONTH_S = DAYS * 24 * 3600
{% endif %}
{% if cookiecutter.endpoint == 'http_api' %}
PARTS = ("Lambda", "API Gateway", "logs")
LOG_KB = 1.4  # a request: Lambda's start and report, the service's record and API Gateway's
{% else %}
PARTS = ("Lambda", "logs")
LOG_KB = 1.0  # a request: Lambda's start and report, and the service's own record
{% endif %}


@dataclass(frozen=True)
class Workload:
    """Requests a month, each of so many ms in an environment with so much memory."""

    requests: int
    duration_ms: float
    memory_mb: int

    @property
    def gb_s(self) -> float:
        return self.requests * self.duration_ms / 1000 * self.memory_mb / 1024


TYPICAL = [
    Workload(100_000, 100, 256),
    Workload(50_000, 200, 512),
    Workload(30_000, 800, 1024),
    Workload(10_000, 2000, 2048),
]


def arguments(parser: ArgumentParser, common: ArgumentParser) -> None:
    parser.add_argument("--requests", metavar="N", type=_positive, help="a month (default: as measured)")
    parser.add_argument("--duration", metavar="MS", type=_positive, help="of a request (default: as measured)")


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def run(service: Service, aws: Aws, given: Namespace) -> None:
    """Prints dollars a month."""
    print(f"{service.name} · {service.stage} · {service.region}")
    print(f"$ a month, at the prices of us-east-1 on {PRICES['as_of']}, without tax and data transfer")
    stack, stored_gb = Stack(service, aws), _images_gb(service, aws)
    print("\nWhat stands still:")
{% if cookiecutter.cold_starts == 'snapstart' %}
    kept = len(versions(service, aws)) if stack.function.read() else 0
    items = [*standing(service, len(stack.alarms.names), max(kept, 1))]
{% else %}
    items = [*standing(service, len(stack.alarms.names))]
{% endif %}
    items.append((f"images, {stored_gb:.2f} GB at most", stored_gb * PRICES["ecr"]["gb"]))
    for what, dollars in items:
        print(f"  {what:50} {dollars:8.2f}")
    print(f"  {'together':50} {sum(dollars for _, dollars in items):8.2f}")
    print(f"\n{'What requests cost:':52}" + "".join(f"{part:>13}" for part in [*PARTS, "together", "- free tier"]))
    for workload in TYPICAL:
        _tell(service, workload, "")
{% if cookiecutter.cold_starts == 'snapstart' %}
    if service.snapstart:
        restored = service.memory_mb / 1024 * PRICES["snapstart"]["restored_gb"]
        print(f"  and each cold start, which restores a snapshot: {restored:.5f}")
{% endif %}
    requests, duration_ms = measured(service, aws)
    if given.requests or given.duration:
        asked = Workload(given.requests or requests or 100_000, given.duration or duration_ms or 100, service.memory_mb)
        _tell(service, asked, ", as asked")
    if requests:
        _tell(service, Workload(requests, duration_ms, service.memory_mb), f", in {DAYS} days")
    else:
        print(f"  nothing was measured in the last {DAYS} days")


def _tell(service: Service, workload: Workload, where: str) -> None:
    what = f"{workload.requests:,} × {workload.duration_ms:,.0f} ms at {workload.memory_mb:,} MB{where}"
    parts, free = of_requests(service, workload), of_requests(service, workload, free=True)
    columns = [*parts.values(), sum(parts.values()), sum(free.values())]
    print(f"  {what:50}" + "".join(f"{dollars:13.2f}" for dollars in columns))


{% if cookiecutter.cold_starts == 'snapstart' %}
def standing(service: Service, alarms: int, kept: int) -> Iterator[tuple[str, float]]:
{% else %}
def standing(service: Service, alarms: int) -> Iterator[tuple[str, float]]:
{% endif %}
    """What is paid for although no request comes, without images."""
    cloudwatch = PRICES["cloudwatch"]
    yield f"{alarms} alarms (an account's first {cloudwatch['free_alarms']} are free)", alarms * cloudwatch["alarm"]
{% if cookiecutter.secrets == 'secrets_manager' %}
    if service.secrets:
        yield "the secret", PRICES["secrets_manager"]["secret"]
{% endif %}
{% if cookiecutter.endpoint == 'http_api' %}
    if service.domain and service.domain.hosted_zone:
        yield f"the hosted zone {service.domain.hosted_zone}", PRICES["route_53"]["hosted_zone"]
{% endif %}
{% if cookiecutter.cold_starts == 'snapstart' %}
    if service.snapstart:
        cached = kept * service.memory_mb / 1024 * MONTH_S * PRICES["snapstart"]["cached_gb_s"]
        yield f"snapshots of the versions that are kept: {kept}", cached
{% elif cookiecutter.cold_starts == 'provisioned_concurrency' %}
    wanted, idle = service.provisioned_concurrency, PRICES["provisioned_concurrency"]["idle_gb_s"]
    if wanted.most:
        ready = wanted.most * service.memory_mb / 1024 * MONTH_S * idle[service.architecture]
        most = ", at most: the schedule says how long" if wanted.schedule else ""
        yield f"{wanted.most} environments that are ready{most}", ready
{% endif %}


def _images_gb(service: Service, aws: Aws) -> float:
    """Layers that images share are stored once, so this is the most it can be."""
    with absent_is_none("RepositoryNotFoundException"):
        pages = aws.ecr.get_paginator("describe_images").paginate(repositoryName=service.full_name)
        return sum(image["imageSizeInBytes"] for page in pages for image in page["imageDetails"]) / 1024**3
    return 0.0


def of_requests(service: Service, workload: Workload, *, free: bool = False) -> dict[str, float]:
    """Dollars by part; `free` takes off what an account has for nothing each month."""
    compute, logs = PRICES["lambda"], PRICES["cloudwatch"]
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
    if service.provisioned_concurrency.most:  # as if every request found an environment that is ready
        compute = compute | {"free_gb_s": 0, "gb_s": PRICES["provisioned_concurrency"]["gb_s"]}
{% endif %}
    requests = max(workload.requests - free * compute["free_requests"], 0)
    gb_s = max(workload.gb_s - free * compute["free_gb_s"], 0)
    logs_gb = max(workload.requests * LOG_KB / 1024**2 - free * logs["free_logs_gb"], 0)
    invoked = requests / 1e6 * compute["million_requests"] + gb_s * compute["gb_s"][service.architecture]
{% if cookiecutter.endpoint == 'http_api' %}
    received = workload.requests / 1e6 * PRICES["api_gateway"]["million_requests"]
    return dict(zip(PARTS, (invoked, received, logs_gb * logs["logs_gb"]), strict=True))
{% else %}
    return dict(zip(PARTS, (invoked, logs_gb * logs["logs_gb"]), strict=True))
{% endif %}


def change_a_month(stack: Stack, states: Mapping[Resource, State | None], now: Live | None) -> tuple[float, float]:
    """Dollars before and after a deploy, with as many requests as were measured; without images."""
    service, aws = stack.service, stack.aws
    requests, duration_ms = measured(service, aws)

    def month(service: Service, alarms: int) -> float:
        workload = Workload(requests, duration_ms, service.memory_mb)
{% if cookiecutter.cold_starts == 'snapstart' %}
        still = standing(service, alarms, kept)
{% else %}
        still = standing(service, alarms)
{% endif %}
        return sum(dollars for _, dollars in still) + sum(of_requests(service, workload).values())

{% if cookiecutter.cold_starts == 'snapstart' %}
    kept = len(versions(service, aws)) if now else 0
{% endif %}
    there = states[stack.alarms] or {}
    is_ = month(_as_it_is(stack, now), len(there.keys() & {*stack.alarms.names})) if now else 0.0
{% if cookiecutter.cold_starts == 'snapstart' %}
    if not now or not now.is_up_to_date(stack.function):
        kept = min(kept + 1, service.keep_releases)
{% endif %}
    return is_, month(service, len(stack.alarms.names))


def _as_it_is(stack: Stack, now: Live) -> Service:
    """The service with what costs money as it is live."""
    live = {"memory_mb": now.holds["MemorySize"], "architecture": now.holds["Architectures"][0]}
{% if cookiecutter.cold_starts == 'snapstart' %}
    live["snapstart"] = now.holds.get("SnapStart", {}).get("ApplyOn") == "PublishedVersions"
{% elif cookiecutter.cold_starts == 'provisioned_concurrency' %}
    held = provisioned_concurrency.ProvisionedConcurrency(stack.service, stack.aws, now.version).read()
    ready = held or {"schedule": []}
    most = max([ready.get("executions") or 0, *(executions for *_, executions in ready["schedule"])])
    live["provisioned_concurrency"] = ProvisionedConcurrency(executions=most)
{% endif %}
    return stack.service.model_copy(update=live)


def measured(service: Service, aws: Aws) -> tuple[int, float]:
    """Requests of the last days, and their mean duration in ms; (0, 0.0) when there were none."""
    now = datetime.now(UTC)

    def sums(metric: str) -> tuple[float, float]:
        points = aws.cloudwatch.get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName=metric,
            Dimensions=[{"Name": "FunctionName", "Value": service.full_name}],
            StartTime=now - timedelta(days=DAYS),
            EndTime=now,
            Period=24 * 3600,
            Statistics=["Sum", "SampleCount"],
        )["Datapoints"]
        return sum(point["Sum"] for point in points), sum(point["SampleCount"] for point in points)

    requests, _ = sums("Invocations")
    total_ms, count = sums("Duration")
    return (round(requests), total_ms / count) if count else (0, 0.0)
