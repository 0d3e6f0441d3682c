"""The components of the service."""

from __future__ import annotations

from collections.abc import Iterator

from deploy.resource import Component, Outputs, Phase, ReleaseStep, Resource
from deploy.resources.alarms import Alarms
{% if cookiecutter.endpoint == 'http_api' %}
from deploy.resources.domain import Domain
{% endif %}
from deploy.resources.event_source_mapping import EventSourceMapping
from deploy.resources.failed_job_queue import FailedJobQueue
from deploy.resources.failed_jobs_alarm import FailedJobsAlarm
from deploy.resources.function import Function
{% if cookiecutter.endpoint == 'function_url' %}
from deploy.resources.function_url import FunctionUrl, server_error_metric
{% else %}
from deploy.resources.http_api import AccessLogGroup, HttpApi, server_error_metric
{% endif %}
from deploy.resources.job_permissions import JobPermissions
from deploy.resources.job_queue import JobQueue, JobVariables
from deploy.resources.job_schedules import JobSchedules, ScheduleGroup, ScheduleRole
from deploy.resources.jobs import Jobs
from deploy.resources.jobs_function import JobsFunction
{% if cookiecutter.secrets == 'secrets_manager' %}
from deploy.resources.json_secret import Secrets
{% endif %}
from deploy.resources.log_group import LogGroup
{% if cookiecutter.migrations == 'alembic' %}
from deploy.resources.migrations import MigrationFunction, Migrations
{% endif %}
{% if cookiecutter.secrets == 'ssm' %}
from deploy.resources.parameters import Secrets
{% endif %}
from deploy.resources.permissions import Permissions
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
from deploy.resources.provisioned_concurrency import ProvisionedConcurrency
{% endif %}
from deploy.resources.repository import Repository
from deploy.resources.role import Role
{% if cookiecutter.cold_starts == 'snapstart' %}
from deploy.resources.snapstart import SnapStart
{% endif %}
from deploy.resources.topic import Topic
from deploy.resources.tracing import Tracing
from deploy.resources.vpc import Vpc
from deploy.stage import Stage


class Stack:
    """The components of one stage. In each phase, resources are created in this order; `destroy` reverses it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.secrets = Secrets(stage)
        used_by_function: list[Component] = [
            self.secrets,
            Permissions(stage),
            Tracing(stage),
            Vpc(stage),
            JobVariables(stage),
            # Add your own resources here, see "Add an AWS resource" in RECIPES.md.
        ]
{% if cookiecutter.cold_starts == 'snapstart' %}
        self.function = Function(stage, [*used_by_function, SnapStart(stage)])
{% else %}
        self.function = Function(stage, used_by_function)
{% endif %}
{% if cookiecutter.endpoint == 'function_url' %}
        self.endpoint = FunctionUrl(stage)
{% else %}
        self.endpoint = HttpApi(stage)
{% endif %}
{% if cookiecutter.migrations == 'alembic' %}
        self.migration_function = MigrationFunction(stage, used_by_function)
{% endif %}
        self.jobs_function = JobsFunction(stage, used_by_function)
        self.failed_jobs, self.job_queue = FailedJobQueue(stage), JobQueue(stage)
        schedule_group = ScheduleGroup(stage)
        self.job_schedules = JobSchedules(stage, schedule_group)
        schedules = [] if stage.is_preview else [ScheduleRole(stage), schedule_group, self.job_schedules]
        self.role = Role(stage, used_by_function)
        self.components: list[Component] = [
            Topic(stage),
            Repository(stage),
            LogGroup(stage),
            *self.function.uses,
            self.role,
            JobPermissions(stage, self.role),
            self.failed_jobs,
            self.job_queue,
            self.function,
            self.jobs_function,
{% if cookiecutter.migrations == 'alembic' %}
            self.migration_function,
{% endif %}
{% if cookiecutter.endpoint == 'http_api' %}
            AccessLogGroup(stage),
{% endif %}
            self.endpoint,
            Alarms(stage, server_error_metric(stage)),
            EventSourceMapping(stage, self.job_queue),
            *schedules,
            FailedJobsAlarm(stage),
{% if cookiecutter.endpoint == 'http_api' %}
            Domain(stage, self.endpoint),
{% endif %}
{% if cookiecutter.migrations == 'alembic' %}
            Migrations(stage, self.migration_function),
{% endif %}
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
            ProvisionedConcurrency(stage),
{% endif %}
            Jobs(stage, self.function, self.jobs_function, self.job_queue),
        ]

    @property
    def resources(self) -> list[Resource]:
        """The components that are resources in AWS."""
        return [component for component in self.components if isinstance(component, Resource)]

    def in_phase(self, phase: Phase) -> list[Resource]:
        """Return the resources that a deploy creates or changes in this phase."""
        return [resource for resource in self.resources if resource.phase is phase]

    @property
    def release_steps(self) -> list[ReleaseStep]:
        """The components that take part in a release."""
        return [component for component in self.components if isinstance(component, ReleaseStep)]

    def public_url(self, outputs: Outputs) -> str:
        """Return the address for clients. `outputs` are those of all resources, or of the endpoints."""
        return outputs.get("public_url") or outputs.get("endpoint.url", "")

    def resources_to_destroy(self) -> Iterator[Resource]:
        """Yield all resources, including those that exist for each version."""
        yield from self.resources
        for step in self.release_steps:
            yield from step.resources()
