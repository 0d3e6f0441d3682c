"""The secrets of the service: one encrypted SSM parameter for each, under the path of the stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from deploy.errors import DeployError, UsageError, error_code
from deploy.iam import Statement, allow
from deploy.resources.secret_store import Secret, SecretStore
from deploy.stage import tag_list
from deploy.state import State, tag_dict

MAX_BYTES = 4_096  # of a standard parameter, which costs nothing


class Secrets(SecretStore):
    """The parameters of the stage."""

    kind = "secrets"

    @property
    def name(self) -> str:
        return f"/{self.config.name}/{self.config.stage}/"

    @property
    def _arn(self) -> str:
        return self.stage.arn("ssm", f"parameter{self.name}*")

    def location(self) -> dict[str, str]:
        return {"SECRETS_PATH": self.name}

    def read(self) -> State | None:
        secrets = self.list_secrets()
        return {"secrets": secrets} if secrets else None

    def list_secrets(self, state: State | None = None) -> list[Secret]:
        if state is not None:
            return list(state["secrets"])
        filters = [
            {"Key": "Path", "Option": "OneLevel", "Values": [self.name.rstrip("/")]},
            {"Key": "tag:managed-by", "Values": [self.stage.tags["managed-by"]]},
        ]
        parameters = self.stage.list_all("ssm", "describe_parameters", "Parameters", ParameterFilters=filters)
        return [
            Secret(item["Name"].removeprefix(self.name), str(item["Version"]), item["LastModifiedDate"])
            for item in sorted(parameters, key=lambda item: item["Name"])
        ]

    def _exists(self, name: str) -> bool:
        return name in [secret.name for secret in self.list_secrets()]

    def set_value(self, name: str, value: str) -> str:
        if len(value.encode()) > MAX_BYTES:
            raise UsageError(f"The value of {name} is too long.", f"Use at most {MAX_BYTES:,} bytes.")
        ssm, parameter = self.stage.client("ssm"), self.name + name
        try:  # only a new parameter can be given tags
            response = ssm.put_parameter(Name=parameter, Value=value, Type="SecureString", Tags=self.stage.tag_list)
        except ClientError as error:
            if error_code(error) != "ParameterAlreadyExists":
                raise
            if not self._exists(name):
                raise DeployError(
                    f"A parameter {parameter} already exists, but this tool did not create it.",
                    "Delete it, or choose another name.",
                ) from None
            response = ssm.put_parameter(Name=parameter, Value=value, Type="SecureString", Overwrite=True)
        return str(response["Version"])

    def remove(self, name: str) -> bool:
        if not self._exists(name):
            return False
        self.stage.client("ssm").delete_parameter(Name=self.name + name)
        return True

    def delete(self) -> None:
        for secret in self.list_secrets():
            self.stage.client("ssm").delete_parameter(Name=self.name + secret.name)

    def read_tags(self, state: State) -> State:
        """Return the tags of the first parameter whose tags have to change, or of any if none has to."""
        tags: dict[str, str] = {}
        for secret in state["secrets"]:
            parameter: Any = {"ResourceType": "Parameter", "ResourceId": self.name + secret.name}
            tags = tag_dict(self.stage.client("ssm").list_tags_for_resource(**parameter)["TagList"])
            if self.stage.tag_changes(tags):
                break
        return {"tags": tags}

    def add_tags(self, tags: Mapping[str, str]) -> None:
        for secret in self.list_secrets():
            self.stage.client("ssm").add_tags_to_resource(
                ResourceType="Parameter", ResourceId=self.name + secret.name, Tags=tag_list(tags)
            )

    def remove_tags(self, keys: Sequence[str]) -> None:
        for secret in self.list_secrets():
            self.stage.client("ssm").remove_tags_from_resource(
                ResourceType="Parameter", ResourceId=self.name + secret.name, TagKeys=keys
            )

    def tag_permissions(self) -> list[Statement]:
        return [allow("ssm", "AddTagsToResource ListTagsForResource RemoveTagsFromResource", self._arn)]

    def service_permissions(self) -> list[Statement]:
        """Include parameters that deploy.toml does not list: a narrower policy would affect the live version."""
        return [allow("ssm", "GetParameters", self._arn)]

    def deploy_permissions(self) -> list[Statement]:
        return [allow("ssm", "DescribeParameters", "*")]

    def destroy_permissions(self) -> list[Statement]:
        return [allow("ssm", "AddTagsToResource DeleteParameter PutParameter", self._arn)]
