"""Corrections of CloudWatch metrics and alarms."""

from datetime import UTC, datetime

from moto.cloudwatch.models import CloudWatchBackend, MetricDatumBase, Statistics, cloudwatch_backends
from werkzeug import Response

from embedded_aws.calls import Call
from embedded_aws.clock import Clock
from embedded_aws.cloudwatch.metrics import ServiceMetrics, alarm_state
from embedded_aws.errors import AwsError
from embedded_aws.moto_corrections.correction import Corrections, EditResponse, Patch, ServiceCorrections
from embedded_aws.sqs.queue_metrics import QueueMetrics


class CloudWatchCorrections(ServiceCorrections):
    """Add the metrics of Lambda, API Gateway and SQS, select metrics by their exact dimensions, and evaluate alarms."""

    def __init__(self, account: str, clock: Clock, metrics: ServiceMetrics, queue_metrics: QueueMetrics) -> None:
        super().__init__(account)
        self._queue_metrics = queue_metrics
        self._clock = clock
        self._metrics = metrics

    def corrections(self) -> Corrections:
        """Return the corrections of calls."""
        return {
            ("cloudwatch", "DeleteAlarms"): self._delete_alarms,
            ("cloudwatch", "DescribeAlarms"): self._describe_alarms,
            ("cloudwatch", "PutMetricAlarm"): self._put_metric_alarm,
        }

    def patches(self) -> list[Patch]:
        """Return the replacements of the methods that read metrics."""
        metrics, queue_metrics, get_stored_metrics = (
            self._metrics,
            self._queue_metrics,
            CloudWatchBackend.get_all_metrics,
        )

        def get_all_metrics(backend: CloudWatchBackend) -> list[MetricDatumBase]:
            """Add the metrics of Lambda, API Gateway and SQS to those that users put. moto does not have them."""
            queue_metrics.publish(backend.region_name)
            return get_stored_metrics(backend) + metrics.data(backend.region_name)

        return [
            (CloudWatchBackend, "get_all_metrics", get_all_metrics),
            (CloudWatchBackend, "get_metric_statistics", get_metric_statistics),
        ]

    def _delete_alarms(self, call: Call) -> None:
        """Respond with ResourceNotFound if an alarm does not exist. moto ignores it.

        AWS still deletes the alarms that exist; the emulator is stricter and deletes none.
        https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DeleteAlarms.html
        """
        alarms = cloudwatch_backends[self._account][call.region].alarms
        missing = [name for name in call.params.get("AlarmNames", []) if name not in alarms]
        if missing:
            raise AwsError("ResourceNotFound", f"Alarms not found: {', '.join(missing)}", 404)

    def _describe_alarms(self, call: Call) -> None:
        """Evaluate the alarms, as AWS does once per period. moto never evaluates them.

        https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
        """
        backend = cloudwatch_backends[self._account][call.region]
        for alarm in backend.alarms.values():
            if alarm.metric_name:
                state = alarm_state(backend, alarm, self._clock.time())
                if state != alarm.state_value:
                    alarm.update_state("Threshold Crossed" if state == "ALARM" else "Unchecked", "{}", state)

    def _put_metric_alarm(self, call: Call) -> EditResponse | None:
        """Ignore the tags in an update of an existing alarm. moto replaces its tags.

        https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
        """
        backend = cloudwatch_backends[self._account][call.region]
        alarm = backend.alarms.get(call.params["AlarmName"])
        if alarm is None:
            return None
        arn, tags = alarm.alarm_arn, backend.tagger.get_tag_dict_for_resource(alarm.alarm_arn)

        def restore_tags(response: Response) -> None:
            backend.tagger.delete_all_tags_for_resource(arn)
            backend.tagger.tag_resource(arn, [{"Key": key, "Value": value} for key, value in tags.items()])

        return restore_tags


def get_metric_statistics(
    self: CloudWatchBackend,
    namespace: str,
    metric_name: str,
    start_time: datetime,
    end_time: datetime,
    period: int,
    stats: list[str],
    dimensions: list[dict[str, str]],
    unit: str | None = None,
) -> list[Statistics]:
    """Return statistics of the metrics with exactly these dimensions. Periods are multiples of `period` (in seconds).

    moto also counts metrics with additional dimensions, and its periods begin at `start_time`.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricStatistics.html
    """
    requested = {(d["Name"], d["Value"]) for d in dimensions or []}
    start_time, end_time = (t.replace(tzinfo=None) for t in (start_time.replace(second=0, microsecond=0), end_time))
    periods: dict[int, Statistics] = {}
    for datum in sorted(self.get_all_metrics(), key=lambda datum: datum.timestamp):
        if datum.namespace != namespace or datum.name != metric_name or unit not in (None, datum.unit):
            continue
        if not start_time <= datum.timestamp < end_time:
            continue
        if {(d.name, d.value) for d in datum.dimensions} == requested:
            start = int(datum.timestamp.replace(tzinfo=UTC).timestamp()) // period * period
            timestamp = datetime.fromtimestamp(start, UTC).replace(tzinfo=None)
            periods.setdefault(start, Statistics(stats, timestamp)).metric_data.append(datum)
    return list(periods.values())
