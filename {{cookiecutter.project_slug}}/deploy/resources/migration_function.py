"""The function that migrates the database: the image of the service with another command."""

from deploy.aws import Aws
from deploy.config import Service
from deploy.resource import State
from deploy.resources.function import Function


class MigrationFunction(Function):
    """Has no versions: it is what the last deploy made it, with the service's role, secrets, network and log group."""

    def __init__(self, service: Service, aws: Aws, function: Function) -> None:
        super().__init__(service, aws)
        self.function = function

    @property
    def name(self) -> str:
        return f"{self.service.full_name}-migrate"

    def desired(self) -> State:
        """No reserved concurrency: that two runs do not interleave is the database's to see to."""
        return self.released() | {"Failure": None}

    def released(self) -> State:
        command = {"Command": ["aws_lambda.migrate.handler"]}
{% if cookiecutter.cold_starts == 'snapstart' %}
        own = {"ImageConfig": command, "Timeout": self.service.migration_timeout_s, "SnapStart": {"ApplyOn": "None"}}
        return self.function.released() | own
{% else %}
        return self.function.released() | {"ImageConfig": command, "Timeout": self.service.migration_timeout_s}
{% endif %}
