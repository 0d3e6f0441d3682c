"""The function that migrates the database: the image of the service with another command."""

from deploy.aws import Aws
from deploy.config import Service
from deploy.resource import State
from deploy.resources.function import Function

COMMAND = ["app.migrate.handler"]


class MigrationFunction(Function):
    """Has no versions: it is what the last deploy made it, with the service's role, secrets, network and log group."""

    def __init__(self, service: Service, aws: Aws, function: Function) -> None:
        super().__init__(service, aws)
        self.function = function

    @property
    def name(self) -> str:
        return f"{self.service.full_name}-migrate"

    def desired(self) -> State:
        return self.released() | {"failure": None}

    def released(self) -> State:
        """No reserved concurrency: that two runs do not interleave is the database's to see to."""
{% if cookiecutter.cold_starts == 'snapstart' %}
        own = {"command": COMMAND, "timeout_s": self.service.migration_timeout_s, "snapstart": False}
        return self.function.released() | own
{% else %}
        return self.function.released() | {"command": COMMAND, "timeout_s": self.service.migration_timeout_s}
{% endif %}
