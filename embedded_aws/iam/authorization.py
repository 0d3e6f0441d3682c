"""Return the permissions that AWS requires for a call: actions, the resource of each, and condition keys.

They come from the Service Authorization Reference. Actions that a call requires in addition to its own name their
source:
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from moto.acm.models import acm_backends
from moto.apigatewayv2.models import apigatewayv2_backends
from moto.secretsmanager.models import secretsmanager_backends

from embedded_aws.calls import Call, resources

NONE = "no resource"  # for actions without resource-level permissions, which only the resource "*" matches
LAMBDA = "lambda.amazonaws.com"
# https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#gettingstarted-images-permissions
IMAGE_ACTIONS = ("ecr:GetRepositoryPolicy", "ecr:SetRepositoryPolicy")
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions
VPC_ACTIONS = ("ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs")
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging.html
ACCESS_LOG_ACTIONS = [
    f"logs:{action}"
    for action in (
        "CreateLogDelivery", "DeleteLogDelivery", "DescribeResourcePolicies", "GetLogDelivery", "ListLogDeliveries",
        "PutResourcePolicy", "UpdateLogDelivery",
    )
]  # fmt: skip
# https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
PUSH_ACTIONS = [
    f"ecr:{action}"
    for action in (
        "BatchCheckLayerAvailability", "BatchGetImage", "CompleteLayerUpload", "InitiateLayerUpload", "PutImage",
        "UploadLayerPart",
    )
]  # fmt: skip
CALLS_WITHOUT_RESOURCE = {
    ("ecr", "GetAuthorizationToken"),
    ("ssm", "DescribeParameters"),
    ("sns", "Unsubscribe"),
    ("acm", "ListCertificates"),
    ("acm", "RequestCertificate"),
    ("route53", "ListHostedZonesByName"),
    ("application-autoscaling", "DescribeScalableTargets"),
    ("application-autoscaling", "DescribeScheduledActions"),
    ("logs", "DescribeLogGroups"),
}
TAG_ACTIONS = {  # checked when a call creates a resource with tags
    "acm": "AddTagsToCertificate",
    "cloudwatch": "TagResource",
    "ecr": "TagResource",
    "iam": "TagRole",
    "lambda": "TagResource",
    "logs": "TagResource",
    "secretsmanager": "TagResource",
    "sns": "TagResource",
    "ssm": "AddTagsToResource",
}


@dataclass(frozen=True)
class Need:
    """A permission: an action on a resource, with the values of condition keys."""

    action: str
    resource: str
    context: dict[str, str] = field(default_factory=dict, hash=False)


class Authorization:
    """The permissions that callers of an account need."""

    def __init__(self, account: str) -> None:
        self._account = account
        self._target_tags: dict[str, dict[str, str]] = {}  # moto does not store the tags of scalable targets

    def needs(self, call: Call) -> Iterator[Need]:
        """Return every permission that the call requires. GetCallerIdentity requires none."""
        if call.service == "sts":
            return
        tags = _tags(call.params.get("Tags") or call.params.get("tags"))
        requested = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
        match call.service:
            case "apigatewayv2":
                yield from self._api_gateway(call, requested)
            case "application-autoscaling":
                yield from self._scaling(call, tags)
            case "lambda":
                yield from self._lambda(call)
            case _:
                for resource in self._resources(call):
                    yield Need(call.action, resource, requested | self._context(call))
        if tags and call.operation.startswith(("Create", "Put", "Request")) and call.service in TAG_ACTIONS:
            yield Need(f"{call.service}:{TAG_ACTIONS[call.service]}", self._resource(call), requested)

    def push(self, region: str, repository: str) -> list[Need]:
        """Return the permissions that `docker push` requires."""
        arn = f"arn:aws:ecr:{region}:{self._account}:repository/{repository}"
        return [Need(action, arn) for action in PUSH_ACTIONS]

    def _arn_prefix(self, call: Call, service: str) -> str:
        return f"arn:aws:{service}:{call.region}:{self._account}:"

    def _lambda(self, call: Call) -> Iterator[Need]:
        p, functions = call.params, self._arn_prefix(call, "lambda") + "function:"
        name = str(p.get("FunctionName", "")).rpartition(":function:")[2]
        resource = functions + name + (f":{p['Qualifier']}" if p.get("Qualifier") else "") if name else NONE
        yield Need(call.action, resource)
        if "Role" in p:
            yield Need("iam:PassRole", str(p["Role"]), {"iam:PassedToService": LAMBDA})
        if (p.get("VpcConfig") or {}).get("SubnetIds"):
            yield from (Need(action, NONE) for action in VPC_ACTIONS)
        if image := p.get("ImageUri") or (p.get("Code") or {}).get("ImageUri"):
            repository = str(image).partition("/")[2].partition("@")[0].partition(":")[0]
            repository_arn = self._arn_prefix(call, "ecr") + f"repository/{repository}"
            yield from (Need(action, repository_arn) for action in IMAGE_ACTIONS)

    def _api_gateway(self, call: Call, requested: dict[str, str]) -> Iterator[Need]:
        """Return the permissions of a call to API Gateway, where actions are HTTP methods and resources are paths.

        https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonapigatewaymanagementv2.html
        """
        assert call.model
        assert call.model.input_shape
        path = call.model.http["requestUri"].removeprefix("/v2").split("?")[0]
        for name, shape in call.model.input_shape.members.items():
            if shape.serialization.get("location") == "uri":
                value = quote(str(call.params.get(name, "")), safe="")
                path = path.replace("{" + str(shape.serialization["name"]) + "}", value)
        gateway = f"arn:aws:apigateway:{call.region}::"
        backend, context = apigatewayv2_backends[self._account][call.region], dict(requested)
        if call.operation == "DeleteApi" and (api := backend.apis.get(call.params["ApiId"])):
            context |= {f"aws:ResourceTag/{key}": value for key, value in backend.get_tags(api.arn).items()}
        yield Need(call.action, gateway + path, context)
        if requested and call.operation.startswith("Create"):
            yield Need("apigateway:POST", gateway + "/tags/" + quote(gateway + path, safe=""))
        if call.params.get("AccessLogSettings"):
            yield from (Need(action, NONE) for action in ACCESS_LOG_ACTIONS)
        if call.operation in ("CreateApi", "CreateDomainName"):
            yield self._service_linked_role("ops.apigateway.amazonaws.com")

    def _scaling(self, call: Call, tags: dict[str, str]) -> Iterator[Need]:
        if (call.service, call.operation) in CALLS_WITHOUT_RESOURCE:
            yield Need(call.action, NONE)
            return
        target = call.params["ResourceId"]
        context = {f"aws:ResourceTag/{key}": value for key, value in self._target_tags.get(target, {}).items()}
        requested = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
        arn = self._arn_prefix(call, "application-autoscaling") + "scalable-target/0ec5abcdef"
        yield Need(call.action, arn, context | requested)
        if call.operation == "RegisterScalableTarget":
            self._target_tags[target] = tags or self._target_tags.get(target, {})
            yield Need("application-autoscaling:TagResource", arn, requested)
            yield self._service_linked_role("lambda.application-autoscaling.amazonaws.com")

    def _service_linked_role(self, principal: str) -> Need:
        """Return the permission that is required when an account uses the service for the first time."""
        role = f"arn:aws:iam::{self._account}:role/aws-service-role/{principal}/AWSServiceRoleForIt"
        return Need("iam:CreateServiceLinkedRole", role, {"iam:AWSServiceName": principal})

    def _resources(self, call: Call) -> list[str]:
        """Return the ARNs on which the action of the call is checked."""
        p, operation, prefix = call.params, call.operation, self._arn_prefix(call, call.service)
        if (call.service, operation) in CALLS_WITHOUT_RESOURCE:
            return [NONE]
        match call.service:
            case "ecr" if "repositoryNames" in p:
                return [prefix + f"repository/{name}" for name in p["repositoryNames"]]
            case "logs" if "logGroupName" in p:
                return [prefix + f"log-group:{p['logGroupName']}:log-stream:"]  # as in AWS's error messages
            case "cloudwatch" if operation == "DescribeAlarms":
                return [prefix + "alarm:*"]  # mattclay/aws-terminator#63
            case "cloudwatch" if "AlarmNames" in p:
                return [prefix + f"alarm:{name}" for name in p["AlarmNames"]]
            case "ssm" if p.get("Name"):
                return [prefix + f"parameter/{str(p['Name']).strip('/')}"]
            case "secretsmanager":
                return [self._secret(call)]
            case "route53":
                zone = str(p.get("HostedZoneId") or p.get("Id")).rpartition("/")[2]
                return [f"arn:aws:route53:::hostedzone/{zone}"]
            case "s3":
                return resources(call, self._account)
            case "iam" if "OpenIDConnectProviderArn" in p:
                return [str(p["OpenIDConnectProviderArn"])]
        return [self._resource(call)]

    def _resource(self, call: Call) -> str:
        """Return the ARN of the only resource that the call names, which also gets the tags of a creating call."""
        p, prefix = call.params, self._arn_prefix(call, call.service)
        for key in ("CertificateArn", "TopicArn", "resourceArn", "ResourceArn", "ResourceARN"):
            if key in p:
                return str(p[key])
        for key, arn in {
            "RoleName": f"arn:aws:iam::{self._account}:role/",
            "repositoryName": prefix + "repository/",
            "logGroupName": prefix + "log-group:",
            "AlarmName": prefix + "alarm:",
        }.items():
            if key in p:
                return arn + str(p[key])
        match call.service:
            case "sns":
                return prefix + str(p.get("Name", NONE))
            case "ssm":
                return prefix + f"parameter/{str(p['Name']).strip('/')}"
            case "secretsmanager":
                return prefix + f"secret:{p['Name']}-abcdef"
            case "lambda":
                return prefix + f"function:{p['FunctionName']}"
        return NONE

    def _secret(self, call: Call) -> str:
        """Return the ARN of a secret or, if it does not exist, its name, on which AWS then checks the action."""
        name = str(call.params.get("SecretId") or call.params.get("Name"))
        secret: Any = secretsmanager_backends[self._account][call.region].secrets.get(name)
        return str(secret.arn) if secret else name

    def _context(self, call: Call) -> dict[str, str]:
        """Return the condition keys of the call, except for those of its tags."""
        p = call.params
        if call.service == "acm" and "CertificateArn" in p:
            certificate = acm_backends[self._account][call.region]._certificates.get(p["CertificateArn"])
            tags = certificate.tags if certificate else {}
            return {f"aws:ResourceTag/{key}": str(value) for key, value in tags.items()}
        if (call.service, call.operation) == ("secretsmanager", "CreateSecret"):
            return {"secretsmanager:Name": str(p["Name"])}
        return {}


def _tags(tags: Any) -> dict[str, str]:
    """Return tags as a dictionary. Some services use a dictionary, others a list of keys and values."""
    if isinstance(tags, dict):
        return {str(key): str(value) for key, value in tags.items()}
    return {str(tag["Key"]): str(tag.get("Value", "")) for tag in tags or []}
