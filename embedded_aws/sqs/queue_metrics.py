"""The metrics that SQS publishes: the numbers of messages of each queue.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
"""

from embedded_aws.cloudwatch.metrics import ServiceMetrics
from embedded_aws.sqs.queues import Queues

NAMES = ("Visible", "NotVisible", "Delayed")


class QueueMetrics:
    """Publish the metrics of the queues. AWS does it each minute, the emulator when metrics are read."""

    def __init__(self, queues: Queues, metrics: ServiceMetrics) -> None:
        self._queues = queues
        self._metrics = metrics

    def publish(self, region: str) -> None:
        """Publish the current numbers of messages in a Region."""
        with self._queues.changed:
            for queue in self._queues.all(region):
                counts = map(float, self._queues.counts(queue))
                values = {f"ApproximateNumberOfMessages{name}": n for name, n in zip(NAMES, counts, strict=True)}
                self._metrics.add(region, "AWS/SQS", [(("QueueName", queue.name),)], values)
