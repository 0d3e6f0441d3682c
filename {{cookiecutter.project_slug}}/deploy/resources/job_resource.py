"""Base class and names of the resources for background jobs. They exist if deploy.toml contains [jobs]."""

from __future__ import annotations

from deploy.resource import Resource
from deploy.stage import Stage

JOBS_TAG = "jobs"  # of the service's role, while any resource for jobs exists; see `JobPermissions`


class JobResource(Resource):
    """A resource for background jobs. Services without jobs make no call for it."""

    record = JOBS_TAG

    def is_used(self) -> bool:
        return self.config.jobs is not None


def queue_arn(stage: Stage) -> str:
    """Return the ARN of the queue that contains the jobs of a stage."""
    return stage.arn("sqs", f"{stage.name}-jobs")


def failed_queue_arn(stage: Stage) -> str:
    """Return the ARN of the queue that contains the failed jobs of a stage."""
    return f"{queue_arn(stage)}-failed"
