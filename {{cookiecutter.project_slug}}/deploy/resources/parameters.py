"""The service's secrets: SSM SecureStrings, one parameter each, below the stage's own path."""

from botocore.exceptions import ClientError

from deploy.aws import error_code
from deploy.problem import Problem, UsageProblem
from deploy.resource import Resource, State
from deploy.secrets import Secret

MAX_BYTES = 4096  # of a standard parameter, which is free


class Secrets(Resource):
    """All of the stage's at once. They come from ./deploy.sh secret set; a deploy only looks whether they are there."""

    kind = "secrets"

    @property
    def name(self) -> str:
        return self.service.secrets_path

    def desired(self) -> State:
        return {}

    def read(self) -> State | None:
        return {} if self.known() else None

    def create(self) -> None: ...

    def update(self, changed: State) -> None: ...

    def delete(self) -> None:
        for secret in self.known():
            self.aws.ssm.delete_parameter(Name=self.name + secret.name)

    def known(self) -> list[Secret]:
        """Those that have a value and were made by this tool, by name."""
        pages = self.aws.ssm.get_paginator("describe_parameters").paginate(
            ParameterFilters=[
                {"Key": "Path", "Option": "OneLevel", "Values": [self.name.rstrip("/")]},
                {"Key": "tag:managed-by", "Values": [self.service.tags["managed-by"]]},
            ]
        )
        found = sorted((one for page in pages for one in page["Parameters"]), key=lambda one: one["Name"])
        return [
            Secret(one["Name"].removeprefix(self.name), str(one["Version"]), one["LastModifiedDate"]) for one in found
        ]

    def set(self, name: str, value: str) -> str:
        """Stores the value and returns its version."""
        if len(value.encode()) > MAX_BYTES:
            raise UsageProblem(f"The value of {name} is too long.", f"Give at most {MAX_BYTES:,} bytes.")
        parameter = self.name + name
        try:  # tags can be given only to a new parameter
            made = self.aws.ssm.put_parameter(
                Name=parameter, Value=value, Type="SecureString", Tags=self.service.tag_list
            )
        except ClientError as error:
            if error_code(error) != "ParameterAlreadyExists":
                raise
            if name not in [secret.name for secret in self.known()]:
                raise Problem(
                    f"There is a parameter {parameter} that was not made by this tool.",
                    "Remove it, or choose another name.",
                ) from None
            made = self.aws.ssm.put_parameter(Name=parameter, Value=value, Type="SecureString", Overwrite=True)
        return str(made["Version"])

    def remove(self, name: str) -> bool:
        """Whether there was such a secret."""
        if name not in [secret.name for secret in self.known()]:
            return False
        self.aws.ssm.delete_parameter(Name=self.name + name)
        return True
