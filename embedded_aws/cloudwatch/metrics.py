"""Which metrics do Lambda and API Gateway publish, and would an alarm on them fire?"""

import threading
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.models import CloudWatchBackend, MetricAggregatedDatum, MetricDatumBase

from embedded_aws.clock import Clock

Dimensions = tuple[tuple[str, str], ...]
MINUTE_S = 60
COMPARISONS = {
    "GreaterThanThreshold": float.__gt__,
    "GreaterThanOrEqualToThreshold": float.__ge__,
    "LessThanThreshold": float.__lt__,
    "LessThanOrEqualToThreshold": float.__le__,
}


@dataclass
class Bucket:
    """The statistics of one metric in one minute."""

    total: float = 0.0
    count: float = 0.0
    least: float = float("inf")
    most: float = float("-inf")

    def add(self, value: float) -> None:
        self.total, self.count = self.total + value, self.count + 1
        self.least, self.most = min(self.least, value), max(self.most, value)


class LambdaMetrics:
    """The metrics that Lambda and API Gateway publish, kept by the minute as CloudWatch keeps them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[tuple[str, str, str, Dimensions, int], Bucket] = defaultdict(Bucket)

    def put(self, region: str, function: str, qualifier: str, values: dict[str, float]) -> None:
        """Counts under the function, and under function and qualifier when the invocation named one."""
        resource = f"{function}:{qualifier}" if qualifier else function
        sets = (("FunctionName", function),), (("FunctionName", function), ("Resource", resource))
        self.count(region, "AWS/Lambda", sets, values)

    def count(self, region: str, namespace: str, sets: Iterable[Dimensions], values: dict[str, float]) -> None:
        """Counts under each of these sets of dimensions."""
        minute = int(self._clock.time()) // MINUTE_S * MINUTE_S
        with self._lock:
            for name, value in values.items():
                for dimensions in sets:
                    self._buckets[region, namespace, name, dimensions, minute].add(value)

    def data(self, region: str) -> list[MetricDatumBase]:
        """Return the metrics of one Region, in moto's form."""
        with self._lock:
            held = [(key, b) for key, b in self._buckets.items() if key[0] == region]
        return [
            MetricAggregatedDatum(
                namespace, name, b.least, b.most, b.count, b.total,
                [{"Name": n, "Value": v} for n, v in dimensions],
                datetime.fromtimestamp(minute, UTC).replace(tzinfo=None),
            )
            for (_, namespace, name, dimensions, minute), b in held
        ]  # fmt: skip


def alarm_state(backend: CloudWatchBackend, alarm: Any, now_s: float) -> str:
    """What CloudWatch makes of an alarm's own definition: OK, ALARM or INSUFFICIENT_DATA."""
    period = int(alarm.period)
    last = int(now_s) // period * period
    breaching = missing = 0
    for back in range(int(alarm.evaluation_periods)):
        value = _value(backend, alarm, last - back * period, period)
        missing += value is None
        breaching += value is not None and COMPARISONS[alarm.comparison_operator](value, float(alarm.threshold))
    treat = alarm.treat_missing_data or "missing"
    if treat == "breaching":
        breaching += missing
    if breaching >= int(alarm.datapoints_to_alarm or alarm.evaluation_periods):
        return "ALARM"
    if missing == int(alarm.evaluation_periods) and treat in ("missing", "ignore"):
        return alarm.state_value if treat == "ignore" else "INSUFFICIENT_DATA"
    return "OK"


def _value(backend: CloudWatchBackend, alarm: Any, start: int, period: int) -> float | None:
    begin, end = (datetime.fromtimestamp(at, UTC).replace(tzinfo=None) for at in (start, start + period))
    dimensions = [{"Name": d.name, "Value": d.value} for d in alarm.dimensions]
    found = backend.get_metric_statistics(
        alarm.namespace, alarm.metric_name, begin, end, period, [alarm.statistic], dimensions
    )
    name = "sample_count" if alarm.statistic == "SampleCount" else alarm.statistic.lower()
    return float(getattr(found[0], name)) if found else None
