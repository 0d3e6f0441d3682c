"""Everything the service has in AWS, in the order in which it is made; destroyed in the opposite order."""

from deploy.aws import Aws
from deploy.config import Service
from deploy.resource import Resource
from deploy.resources.alarms import ErrorsAlarm, ServerErrorsAlarm, Topic
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


def before_release(
    service: Service, aws: Aws, repository: Repository, function: Function, secrets: Secrets
) -> list[Resource]:
    """What a new version needs; nothing in it changes what is live."""
    return [
        repository,
        LogGroup(service, aws),
        *([secrets] if service.secrets else []),
        Role(service, aws),
        function,
{% if cookiecutter.migrations == 'alembic' %}
        MigrationFunction(service, aws, function),
{% endif %}
        Topic(service, aws),
        ErrorsAlarm(service, aws),
{% if cookiecutter.endpoint == 'function_url' %}
        ServerErrorsAlarm(service, aws),
{% endif %}
    ]


def after_release(service: Service, aws: Aws) -> list[Resource]:
    """What hangs on the alias `live`, and so comes after it."""
{% if cookiecutter.endpoint == 'function_url' %}
    return [FunctionUrl(service, aws)]
{% else %}
    return [AccessLogGroup(service, aws), HttpApi(service, aws), ServerErrorsAlarm(service, aws)]
{% endif %}


def everything(service: Service, aws: Aws, secrets: Secrets) -> list[Resource]:
    unlisted = [] if service.secrets else [secrets]  # deploy.toml names none of them, and they may be there
    first = before_release(service, aws, Repository(service, aws), Function(service, aws), secrets)
    return [
        *unlisted,
        *first,
        *after_release(service, aws),
{% if cookiecutter.endpoint == 'http_api' %}
        Domain(service, aws),
{% endif %}
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
        *every_version(service, aws),
{% endif %}
    ]


def secrets_of(service: Service, aws: Aws) -> Secrets:
    return Secrets(service, aws)


def public_url(service: Service, aws: Aws) -> str:
    """The URL that clients call; empty before the first release."""
{% if cookiecutter.endpoint == 'function_url' %}
    return FunctionUrl(service, aws).url() or ""
{% else %}
    return HttpApi(service, aws).url() or ""
{% endif %}
