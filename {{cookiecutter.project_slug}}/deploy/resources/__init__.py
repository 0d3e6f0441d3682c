"""Everything the service has in AWS, in the order in which it is made; destroyed in the opposite order."""

from __future__ import annotations

from deploy.aws import Aws
from deploy.config import Service
from deploy.resource import Resource, State, read_all
from deploy.resources.alarms import Alarms, Topic
{% if cookiecutter.endpoint == 'http_api' %}
from deploy.resources.domain import Domain
{% endif %}
from deploy.resources.function import Function
{% if cookiecutter.endpoint == 'function_url' %}
from deploy.resources.function_url import FunctionUrl
{% else %}
from deploy.resources.http_api import AccessLogGroup, HttpApi
{% endif %}
{% if cookiecutter.secrets == 'secrets_manager' %}
from deploy.resources.json_secret import Secrets
{% endif %}
from deploy.resources.log_group import LogGroup
{% if cookiecutter.migrations == 'alembic' %}
from deploy.resources.migration_function import MigrationFunction
{% endif %}
{% if cookiecutter.secrets == 'ssm' %}
from deploy.resources.parameters import Secrets
{% endif %}
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
from deploy.resources.provisioned_concurrency import every_version
{% endif %}
from deploy.resources.repository import Repository
from deploy.resources.role import Role
from deploy.secrets import secrets_changed


class Stack:
    """`before` a release: what a new version needs; nothing in it changes what is live. `after` it: what hangs on the
    alias `live`."""

    def __init__(self, service: Service, aws: Aws) -> None:
        self.service = service
        self.aws = aws
        self.repository = Repository(service, aws)
        self.function = Function(service, aws)
        self.secrets = Secrets(service, aws)
        self.topic = Topic(service, aws)
{% if cookiecutter.endpoint == 'function_url' %}
        self.endpoint = FunctionUrl(service, aws)
        self.alarms = Alarms(service, aws)
{% else %}
        self.endpoint = HttpApi(service, aws)
        self.domain = Domain(service, aws, self.endpoint)
        self.alarms = Alarms(service, aws, self.endpoint)
{% endif %}
        self.before: list[Resource] = [
            self.topic,  # first: it asks who we are, and others wait for that
            self.repository,
            LogGroup(service, aws),
            Role(service, aws),
            self.function,
{% if cookiecutter.migrations == 'alembic' %}
            MigrationFunction(service, aws, self.function),
{% endif %}
        ]
{% if cookiecutter.endpoint == 'function_url' %}
        self.after: list[Resource] = [self.endpoint, self.alarms]
{% else %}
        self.after: list[Resource] = [AccessLogGroup(service, aws), self.endpoint, self.alarms]
{% endif %}

    def read(self) -> dict[Resource, State | None]:
        """What is there now of what a deploy compares; raises Problem for a name that is not ours, or a secret that has
        no value."""
        states = read_all([*self.before, *self.after])
{% if cookiecutter.endpoint == 'http_api' %}
        states[self.domain] = self.domain.read()  # after the API, whose tags remember it
{% endif %}
        if self.service.secrets:
            self.function.secrets_changed = secrets_changed(self.service, self.secrets.known())
        return states

    def everything(self) -> list[Resource]:
        return [
            self.secrets,
            *self.before,
            *self.after,
{% if cookiecutter.endpoint == 'http_api' %}
            self.domain,
{% endif %}
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
            *every_version(self.service, self.aws),
{% endif %}
        ]
