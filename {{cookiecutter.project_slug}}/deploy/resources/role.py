"""The role that the function runs as, with the one policy it needs."""

import json
from typing import Any

from deploy.aws import absent_is_none
from deploy.resource import Resource, State

POLICY = "service"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
{% if cookiecutter.migrations == 'alembic' %}
# What Lambda itself needs, by the function's role, to connect it to a VPC; AWS defines them for no narrower resource
# (docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions).
VPC_ACTIONS = [
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
]
{% endif %}


class Role(Resource):
    """May write to its own log group and read its own secrets, and nothing else."""

    kind = "role"

    @property
    def arn(self) -> str:
        return self.aws.arn("iam", f"role/{self.name}", region=False)

    def desired(self) -> State:
{% if cookiecutter.secrets == 'ssm' %}
        # All secrets of the stage, not only those in deploy.toml: narrowing it would reach the live version at once.
        secrets = self.aws.arn("ssm", f"parameter{self.service.secrets_path}*")
{% else %}
        # Also when deploy.toml lists none: taking it away would reach the live version at once.
        secret = self.aws.arn("secretsmanager", f"secret:{self.service.secret_id}-??????")  # AWS adds six characters
{% endif %}
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                    "Resource": self.aws.arn("logs", f"log-group:{self.service.log_group}:*"),
                },
{% if cookiecutter.secrets == 'ssm' %}
                {"Effect": "Allow", "Action": ["ssm:GetParameters"], "Resource": secrets},
{% else %}
                {"Effect": "Allow", "Action": ["secretsmanager:GetSecretValue"], "Resource": secret},
{% endif %}
{% if cookiecutter.migrations == 'alembic' %}
                *([{"Effect": "Allow", "Action": VPC_ACTIONS, "Resource": "*"}] if self.service.vpc else []),
{% endif %}
            ],
        }
        return {"trust": TRUST, "policy": policy}

    def read(self) -> State | None:
        with absent_is_none("NoSuchEntity"):
            role = self.aws.iam.get_role(RoleName=self.name)["Role"]
            return {
                "trust": role["AssumeRolePolicyDocument"],
                "policy": self._policy(),
                "tags": {tag["Key"]: tag["Value"] for tag in role.get("Tags", [])},
            }
        return None

    def _policy(self) -> Any:
        with absent_is_none("NoSuchEntity"):
            return self.aws.iam.get_role_policy(RoleName=self.name, PolicyName=POLICY)["PolicyDocument"]
        return None

    def create(self) -> None:
        self.aws.iam.create_role(
            RoleName=self.name,
            AssumeRolePolicyDocument=json.dumps(TRUST),
            Tags=[{"Key": key, "Value": value} for key, value in self.service.tags.items()],
        )
        self.update({"policy": self.desired()["policy"]})

    def update(self, changed: State) -> None:
        if trust := changed.get("trust"):
            self.aws.iam.update_assume_role_policy(RoleName=self.name, PolicyDocument=json.dumps(trust))
        if policy := changed.get("policy"):
            self.aws.iam.put_role_policy(RoleName=self.name, PolicyName=POLICY, PolicyDocument=json.dumps(policy))

    def delete(self) -> None:
        with absent_is_none("NoSuchEntity"):
            self.aws.iam.delete_role_policy(RoleName=self.name, PolicyName=POLICY)
        self.aws.iam.delete_role(RoleName=self.name)
