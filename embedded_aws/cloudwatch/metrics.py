"""Store the metrics that Lambda, API Gateway and SQS publish, and evaluate alarms on them."""

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
    minimum: float = float("inf")
    maximum: float = float("-inf")

    def add(self, value: float) -> None:
        """Add a data point."""
        self.total += value
        self.count += 1
        self.minimum = min(self.minimum, value)
        self.maximum = max(self.maximum, value)


class ServiceMetrics:
    """The metrics that Lambda, API Gateway and SQS publish, with a resolution of one minute as in CloudWatch."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[tuple[str, str, str, Dimensions, int], Bucket] = defaultdict(Bucket)

    def put(self, region: str, function: str, qualifier: str, values: dict[str, float]) -> None:
        """Add values for the dimension FunctionName, and for FunctionName with Resource, as Lambda does.

        https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-view.html
        """
        resource = f"{function}:{qualifier}" if qualifier else function
        dimension_sets = (("FunctionName", function),), (("FunctionName", function), ("Resource", resource))
        self.add(region, "AWS/Lambda", dimension_sets, values)

    def add(self, region: str, namespace: str, dimension_sets: Iterable[Dimensions], values: dict[str, float]) -> None:
        """Add values, by the name of the metric, for each of these sets of dimensions."""
        minute = int(self._clock.time()) // MINUTE_S * MINUTE_S
        with self._lock:
            for name, value in values.items():
                for dimensions in dimension_sets:
                    self._buckets[region, namespace, name, dimensions, minute].add(value)

    def data(self, region: str) -> list[MetricDatumBase]:
        """Return the metrics of a Region in moto's format."""
        with self._lock:
            buckets = [(key, bucket) for key, bucket in self._buckets.items() if key[0] == region]
        return [
            MetricAggregatedDatum(
                namespace,
                name,
                bucket.minimum,
                bucket.maximum,
                bucket.count,
                bucket.total,
                [{"Name": key, "Value": value} for key, value in dimensions],
                datetime.fromtimestamp(minute, UTC).replace(tzinfo=None),
            )
            for (_, namespace, name, dimensions, minute), bucket in buckets
        ]


def alarm_state(backend: CloudWatchBackend, alarm: Any, now_s: float) -> str:
    """Evaluate the alarm's definition. Return OK, ALARM or INSUFFICIENT_DATA."""
    period_s = int(alarm.period)
    latest_start_s = int(now_s) // period_s * period_s
    breaching = missing = 0
    for index in range(int(alarm.evaluation_periods)):
        value = _statistic(backend, alarm, latest_start_s - index * period_s, period_s)
        if value is None:
            missing += 1
        elif COMPARISONS[alarm.comparison_operator](value, float(alarm.threshold)):
            breaching += 1
    missing_data = alarm.treat_missing_data or "missing"
    if missing_data == "breaching":
        breaching += missing
    if breaching >= int(alarm.datapoints_to_alarm or alarm.evaluation_periods):
        return "ALARM"
    if missing == int(alarm.evaluation_periods) and missing_data in ("missing", "ignore"):
        return alarm.state_value if missing_data == "ignore" else "INSUFFICIENT_DATA"
    return "OK"


def _statistic(backend: CloudWatchBackend, alarm: Any, start_s: int, period_s: int) -> float | None:
    """Return the alarm's statistic for one period, or None without data."""
    start, end = (datetime.fromtimestamp(at_s, UTC).replace(tzinfo=None) for at_s in (start_s, start_s + period_s))
    dimensions = [{"Name": dimension.name, "Value": dimension.value} for dimension in alarm.dimensions]
    statistics = backend.get_metric_statistics(
        alarm.namespace, alarm.metric_name, start, end, period_s, [alarm.statistic], dimensions
    )
    name = "sample_count" if alarm.statistic == "SampleCount" else alarm.statistic.lower()
    return float(getattr(statistics[0], name)) if statistics else None
