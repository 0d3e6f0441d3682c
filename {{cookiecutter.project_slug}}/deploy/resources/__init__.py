"""Everything the service has in AWS, in the order in which it is made; destroyed in the opposite order."""

from deploy.aws import Aws
from deploy.config import Service
from deploy.resource import Resource
from deploy.resources.alarms import ErrorsAlarm, ServerErrorsAlarm, Topic
from deploy.resources.function import Function
from deploy.resources.function_url import FunctionUrl
from deploy.resources.log_group import LogGroup
{% if cookiecutter.migrations == 'alembic' %}
from deploy.resources.migration_function import MigrationFunction
{% endif %}
from deploy.resources.repository import Repository
from deploy.resources.role import Role


def before_release(service: Service, aws: Aws, repository: Repository, function: Function) -> list[Resource]:
    """What a new version needs; nothing in it changes what is live."""
    return [
        repository,
        LogGroup(service, aws),
        Role(service, aws),
        function,
{% if cookiecutter.migrations == 'alembic' %}
        MigrationFunction(service, aws, function),
{% endif %}
        Topic(service, aws),
        ErrorsAlarm(service, aws),
        ServerErrorsAlarm(service, aws),
    ]


def after_release(service: Service, aws: Aws) -> list[Resource]:
    """What hangs on the alias `live`, and so comes after it."""
    return [FunctionUrl(service, aws)]


def everything(service: Service, aws: Aws) -> list[Resource]:
    first = before_release(service, aws, Repository(service, aws), Function(service, aws))
    return first + after_release(service, aws)


def public_url(service: Service, aws: Aws) -> str:
    """The URL that clients call; empty before the first release."""
    return FunctionUrl(service, aws).url() or ""
