"""The roles that GitHub Actions deploy with: who may take them, and all that they may do."""

from __future__ import annotations

from typing import Any

from deploy.aws import Aws, absent_is_none
{% if cookiecutter.endpoint == 'http_api' %}
from deploy.config import CustomDomain, Service
from deploy.dns import HostedZone
{% else %}
from deploy.config import Service
{% endif %}
from deploy.resource import Resource, State
from deploy.resources.alarms import Topic
{% if cookiecutter.endpoint == 'http_api' %}
from deploy.resources.http_api import AccessLogGroup
{% endif %}
from deploy.resources.log_group import LogGroup
from deploy.resources.role import Role, document

ISSUER = "token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"
PREVIEWS = "pr-*"  # the stages of pull requests
# Some are of calls that others make for us: docker push, and Lambda, which lets itself pull the image.
ECR = """
    BatchCheckLayerAvailability BatchDeleteImage BatchGetImage CompleteLayerUpload CreateRepository DescribeImages
    DescribeRepositories GetRepositoryPolicy InitiateLayerUpload ListTagsForResource PutImage PutImageTagMutability
    SetRepositoryPolicy TagResource UploadLayerPart
"""
LAMBDA = """
    AddPermission CreateAlias CreateFunction DeleteFunctionConcurrency GetAlias GetFunction
    GetFunctionConfiguration GetPolicy InvokeFunction ListAliases ListTags ListVersionsByFunction PublishVersion
    PutFunctionConcurrency RemovePermission TagResource UpdateAlias UpdateFunctionCode UpdateFunctionConfiguration
{% if cookiecutter.endpoint == 'function_url' %}
    CreateFunctionUrlConfig GetFunctionUrlConfig InvokeFunctionUrl UpdateFunctionUrlConfig
{% endif %}
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
    DeleteProvisionedConcurrencyConfig GetProvisionedConcurrencyConfig ListProvisionedConcurrencyConfigs
    PutProvisionedConcurrencyConfig
{% endif %}
"""
{% if cookiecutter.endpoint == 'http_api' %}
# docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging.html
LOG_DELIVERY = """
    CreateLogDelivery DeleteLogDelivery DescribeResourcePolicies GetLogDelivery ListLogDeliveries PutResourcePolicy
    UpdateLogDelivery
"""
{% endif %}


class Provider(Resource):
    """Lets this account's roles trust GitHub. An account has one for all repositories, so it is never deleted."""

    kind = "OIDC provider"
    name = ISSUER

    @property
    def arn(self) -> str:
        return self.aws.arn("iam", f"oidc-provider/{ISSUER}", region=False)

    def desired(self) -> State:
        return {"audience": True}

    def read(self) -> State | None:
        with absent_is_none("NoSuchEntity"):
            found = self.aws.iam.get_open_id_connect_provider(OpenIDConnectProviderArn=self.arn)
            return {"audience": AUDIENCE in found["ClientIDList"]}
        return None

    def create(self) -> None:
        self.aws.iam.create_open_id_connect_provider(Url=f"https://{ISSUER}", ClientIDList=[AUDIENCE])

    def update(self, changed: State) -> None:
        self.aws.iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=self.arn, ClientID=AUDIENCE)

    def delete(self) -> None: ...


class GithubRole(Role):
    """Its name has a dot, which no stage has: what may write the roles of stages cannot write itself.

    `claims` are what GitHub's token must say; `previews`: for all stages of pull requests, and to destroy them, too.
    """

    def __init__(self, service: Service, aws: Aws, claims: dict[str, Any], *, previews: bool = False) -> None:
        super().__init__(service, aws)
        self.claims = claims
        self.previews = previews
        self.reach = service.model_copy(update={"stage": PREVIEWS}) if previews else service

    @property
    def name(self) -> str:
        stage = "" if self.service.stage == "prod" else f"-{self.service.stage}"
        return f"{self.service.name}.github" + (".previews" if self.previews else stage)

    @property
    def arn(self) -> str:
        return self.aws.arn("iam", f"role/{self.name}", region=False)

    def desired(self) -> State:
        trust = {
            "Effect": "Allow",
            "Principal": {"Federated": Provider(self.service, self.aws).arn},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": {f"{ISSUER}:aud": AUDIENCE},
                "StringLike": {f"{ISSUER}:{claim}": value for claim, value in self.claims.items()},
            },
        }
        return {"AssumeRolePolicyDocument": document([trust]), "PolicyDocument": document(self._statements())}

    def _statements(self) -> list[State]:
        """Names where there are any; tags where AWS chooses the name; "*" is left to what has neither."""
        reach, arn, name = self.reach, self.aws.arn, self.reach.full_name
        repository, topic = arn("ecr", f"repository/{name}"), Topic(reach, self.aws).arn
        role = arn("iam", f"role/{name}", region=False)
        parts = [""] if self.previews else ["", ":*"]  # a log stream or a version
{% if cookiecutter.migrations == 'alembic' %}
        names = [name] if self.previews else [name, f"{name}-migrate"]
        functions = [arn("lambda", f"function:{one}{part}") for one in names for part in parts]
{% else %}
        functions = [arn("lambda", f"function:{name}{part}") for part in parts]
{% endif %}
        alarms = [arn("cloudwatch", f"alarm:{name}-{part}") for part in ("errors", "5xx")]
{% if cookiecutter.endpoint == 'http_api' %}
        logs = [group(reach, self.aws).arn + part for group in (LogGroup, AccessLogGroup) for part in parts]
{% else %}
        logs = [LogGroup(reach, self.aws).arn + part for part in parts]
{% endif %}
{% if cookiecutter.secrets == 'ssm' %}
        secrets = arn("ssm", f"parameter{reach.secrets_path}*")
{% else %}
        secrets = arn("secretsmanager", f"secret:{reach.secret_id}-??????")  # AWS adds six characters
{% endif %}
        statements = [
            allow("ecr", ECR, repository),
            allow("ecr", "GetAuthorizationToken", "*"),
            allow("logs", "CreateLogGroup ListTagsForResource PutRetentionPolicy TagResource", *logs),
            allow("logs", "DescribeLogGroups", "*"),
            allow("iam", "CreateRole GetRole GetRolePolicy PutRolePolicy TagRole UpdateAssumeRolePolicy", role),
            allow("iam", "PassRole", role, when={"iam:PassedToService": "lambda.amazonaws.com"}),
            allow("lambda", LAMBDA, *functions),
            allow("lambda", "DeleteFunction", *(functions if self.previews else [f"{functions[0]}:*"])),  # a version
            allow("sns", "CreateTopic DeleteTopic ListSubscriptionsByTopic ListTagsForResource", topic),
            allow("sns", "Subscribe TagResource", topic),
            allow("sns", "Unsubscribe", "*"),
            allow("cloudwatch", "ListTagsForResource PutMetricAlarm TagResource", *alarms),
            allow("cloudwatch", "DescribeAlarms", arn("cloudwatch", "alarm:*")),
            allow("cloudwatch", "GetMetricStatistics", "*"),  # of which plan makes the bill
{% if cookiecutter.secrets == 'ssm' %}
            allow("ssm", "DescribeParameters", "*"),
{% else %}
            allow("secretsmanager", "DescribeSecret", "*"),  # one that is not there yet has no ARN
{% endif %}
        ]
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
        scaling, targets = "application-autoscaling", arn("application-autoscaling", "scalable-target/*")
        statements += [
            allow(scaling, "DescribeScalableTargets DescribeScheduledActions", "*"),
            allow(scaling, "RegisterScalableTarget TagResource", targets, when=self._tagged("Request")),
            allow(scaling, "DeregisterScalableTarget PutScheduledAction", targets, when=self._tagged("Resource")),
            self._linked_role("lambda.application-autoscaling.amazonaws.com"),
        ]
{% endif %}
{% if cookiecutter.endpoint == 'http_api' %}
        untagged = [self._gateway(f"/apis/*/{part}") for part in ("integrations*", "routes", "stages*")]
        statements += [
            allow("apigateway", "GET", self._gateway("/apis"), self._gateway("/apis/*")),
            allow("apigateway", "POST", self._gateway("/apis"), when=self._tagged("Request")),
            allow("apigateway", "PATCH POST", *untagged),
            allow("apigateway", "DELETE", self._gateway("/apis/*"), when=self._tagged("Resource")),
            allow("apigateway", "POST", self._gateway("/tags/*")),
            allow("logs", LOG_DELIVERY, "*"),
            self._linked_role("ops.apigateway.amazonaws.com"),
        ]
        if reach.domain and not self.previews:
            statements += self._domain(reach.domain)
{% endif %}
{% if cookiecutter.migrations == 'alembic' %}
        if reach.vpc:
            statements.append(allow("ec2", "DescribeSecurityGroups DescribeSubnets DescribeVpcs", "*"))
{% endif %}
        if self.previews:
            remove_role = "DeleteRole DeleteRolePolicy DetachRolePolicy ListAttachedRolePolicies ListRolePolicies"
            statements += [
                allow("ecr", "DeleteRepository", repository),
                allow("logs", "DeleteLogGroup", *logs),
                allow("iam", remove_role, role),
{% if cookiecutter.endpoint == 'function_url' %}
                allow("lambda", "DeleteFunctionUrlConfig", *functions),
{% endif %}
                allow("cloudwatch", "DeleteAlarms", *alarms),
{% if cookiecutter.secrets == 'ssm' %}
                allow("ssm", "AddTagsToResource DeleteParameter PutParameter", secrets),
{% else %}
                allow("secretsmanager", "CreateSecret", "*", when={"secretsmanager:Name": reach.secret_id}),
                allow("secretsmanager", "DeleteSecret GetSecretValue PutSecretValue TagResource", secrets),
                allow("secretsmanager", "UpdateSecretVersionStage", secrets),
{% endif %}
            ]
        return statements
{% if cookiecutter.endpoint == 'http_api' or cookiecutter.cold_starts == 'provisioned_concurrency' %}

    def _tagged(self, what: str) -> dict[str, str]:
        """The condition that the request, or the resource, has the tags of this service's stage."""
        return {f"aws:{what}Tag/{key}": self.reach.tags[key] for key in ("service", "stage")}

    def _linked_role(self, principal: str) -> State:
        """AWS's own service makes its role when it is first used in an account."""
        role = self.aws.arn("iam", f"role/aws-service-role/{principal}/*", region=False)
        return allow("iam", "CreateServiceLinkedRole", role, when={"iam:AWSServiceName": principal})
{% endif %}
{% if cookiecutter.endpoint == 'http_api' %}

    def _gateway(self, path: str) -> str:
        return f"arn:{self.aws.partition}:apigateway:{self.aws.region}::{path}"

    def _domain(self, domain: CustomDomain) -> list[State]:
        certificates, name = self.aws.arn("acm", "certificate/*"), self._gateway(f"/domainnames/{domain.name}")
        statements = [
            allow("acm", "ListCertificates", "*"),
            allow("acm", "RequestCertificate AddTagsToCertificate", "*", when=self._tagged("Request")),
            allow("acm", "ListTagsForCertificate", certificates),
            allow("acm", "DescribeCertificate DeleteCertificate", certificates, when=self._tagged("Resource")),
            allow("apigateway", "POST", self._gateway("/domainnames"), when=self._tagged("Request")),
            allow("apigateway", "DELETE GET POST", name, f"{name}/apimappings*"),
            allow("apigateway", "DELETE", self._gateway("/tags/*")),
        ]
        if domain.hosted_zone:
            zone = f"arn:{self.aws.partition}:route53:::{HostedZone(self.aws, domain.hosted_zone).id.strip('/')}"
            records = "ChangeResourceRecordSets GetHostedZone ListResourceRecordSets"
            statements += [allow("route53", "ListHostedZonesByName", "*"), allow("route53", records, zone)]
        return statements
{% endif %}


def allow(service: str, actions: str, *resources: str, when: dict[str, str] | None = None) -> State:
    """A statement; with `when`, for requests whose condition keys match these patterns."""
    statement = {
        "Effect": "Allow",
        "Action": [f"{service}:{action}" for action in actions.split()],
        "Resource": [*resources],
    }
    return statement | ({"Condition": {"StringLike": when}} if when else {})
