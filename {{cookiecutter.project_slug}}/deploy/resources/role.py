"""The role that the function runs as, with the one policy it needs."""

import json
from typing import Any

from deploy.aws import absent_is_none
from deploy.resource import Resource, State

POLICY = "service"
TRUST = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
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

    def desired(self) -> State:
        logs = self.aws.arn("logs", f"log-group:{self.service.log_group}:*")
{% if cookiecutter.secrets == 'ssm' %}
        # All secrets of the stage, not only those in deploy.toml: narrowing it would reach the live version at once.
        secrets = self.aws.arn("ssm", f"parameter{self.service.secrets_path}*")
{% else %}
        # Also when deploy.toml lists none: taking it away would reach the live version at once.
        secret = self.aws.arn("secretsmanager", f"secret:{self.service.secret_id}-??????")  # AWS adds six characters
{% endif %}
        statements = [
            {"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": logs},
{% if cookiecutter.secrets == 'ssm' %}
            {"Effect": "Allow", "Action": ["ssm:GetParameters"], "Resource": secrets},
{% else %}
            {"Effect": "Allow", "Action": ["secretsmanager:GetSecretValue"], "Resource": secret},
{% endif %}
        ]
{% if cookiecutter.migrations == 'alembic' %}
        if self.service.vpc or self._was_in_a_vpc():
            statements.append({"Effect": "Allow", "Action": VPC_ACTIONS, "Resource": "*"})
{% endif %}
        return {"AssumeRolePolicyDocument": document([TRUST]), "PolicyDocument": document(statements)}

{% if cookiecutter.migrations == 'alembic' %}
    def _was_in_a_vpc(self) -> bool:
        """Whether a version that is kept is: it may be live, and Lambda needs the role to take it out again, too."""
        with absent_is_none("ResourceNotFoundException"):
            pages = self.aws.lambda_.get_paginator("list_versions_by_function").paginate(FunctionName=self.name)
            return any(one.get("VpcConfig", {}).get("SubnetIds") for page in pages for one in page["Versions"])
        return False

{% endif %}
    def read(self) -> State | None:
        with absent_is_none("NoSuchEntity"):
            role = self.aws.iam.get_role(RoleName=self.name)["Role"]
            return {**role, "PolicyDocument": self._policy(), "tags": role.get("Tags", [])}
        return None

    def _policy(self) -> Any:
        with absent_is_none("NoSuchEntity"):
            return self.aws.iam.get_role_policy(RoleName=self.name, PolicyName=POLICY)["PolicyDocument"]
        return None

    def create(self) -> None:
        trust = json.dumps(self.desired()["AssumeRolePolicyDocument"])
        self.aws.iam.create_role(RoleName=self.name, AssumeRolePolicyDocument=trust, Tags=self.service.tag_list)
        self.update({"PolicyDocument": self.desired()["PolicyDocument"]})

    def update(self, changed: State) -> None:
        if trust := changed.get("AssumeRolePolicyDocument"):
            self.aws.iam.update_assume_role_policy(RoleName=self.name, PolicyDocument=json.dumps(trust))
        if policy := changed.get("PolicyDocument"):
            self.aws.iam.put_role_policy(RoleName=self.name, PolicyName=POLICY, PolicyDocument=json.dumps(policy))

    def delete(self) -> None:
        """With the policies that somebody added."""
        for policy in self.aws.iam.list_attached_role_policies(RoleName=self.name)["AttachedPolicies"]:
            self.aws.iam.detach_role_policy(RoleName=self.name, PolicyArn=policy["PolicyArn"])
        for name in self.aws.iam.list_role_policies(RoleName=self.name)["PolicyNames"]:
            self.aws.iam.delete_role_policy(RoleName=self.name, PolicyName=name)
        self.aws.iam.delete_role(RoleName=self.name)


def document(statements: list[dict[str, Any]]) -> dict[str, Any]:
    """A policy of these statements."""
    return {"Version": "2012-10-17", "Statement": statements}
