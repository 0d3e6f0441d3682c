"""The statements under [[permissions]] in deploy.toml, which are added to the service's IAM role."""

from __future__ import annotations

import re

from deploy.config import PLACEHOLDER
from deploy.iam import Statement
from deploy.resource import Component


class Permissions(Component):
    """The additional permissions of the service."""

    def service_permissions(self) -> list[Statement]:
        return [
            {
                "Effect": "Allow",
                "Action": permission.actions,
                "Resource": [self._fill_in(resource) for resource in permission.resources],
            }
            for permission in self.config.permissions
        ]

    def _fill_in(self, arn: str) -> str:
        """Replace {account}, {region} and {stage}, but no variables of IAM, such as ${aws:username}."""
        values = {"account": self.stage.account, "region": self.config.region, "stage": self.config.stage}
        return re.sub(PLACEHOLDER, lambda match: values[match[1]], arn)
