"""What AWS checks before it answers: each action, the resource that it is checked on, and condition keys.

All are those of the Service Authorization Reference; what a call needs besides its own action has its source beside it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from moto.acm.models import acm_backends
from moto.apigatewayv2.models import apigatewayv2_backends
from moto.secretsmanager.models import secretsmanager_backends

from embedded_aws.calls import Call, resources

NONE = "no resource"  # which "*" alone covers
LAMBDA, SCALING, GATEWAY = "lambda.amazonaws.com", "lambda.application-autoscaling", "ops.apigateway"
# https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#gettingstarted-images-permissions
LET_LAMBDA_PULL = ("ecr:GetRepositoryPolicy", "ecr:SetRepositoryPolicy")
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions
SEE_NETWORK = ("ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs")
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging.html
DELIVER_LOGS = [
    f"logs:{action}"
    for action in (
        "CreateLogDelivery", "DeleteLogDelivery", "DescribeResourcePolicies", "GetLogDelivery", "ListLogDeliveries",
        "PutResourcePolicy", "UpdateLogDelivery",
    )
]  # fmt: skip
# https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
PUSH = [
    f"ecr:{action}"
    for action in (
        "BatchCheckLayerAvailability", "BatchGetImage", "CompleteLayerUpload", "InitiateLayerUpload", "PutImage",
        "UploadLayerPart",
    )
]  # fmt: skip
NO_RESOURCE = {
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


@dataclass(frozen=True)
class Need:
    """An action on a resource, under these circumstances."""

    action: str
    resource: str
    context: dict[str, str] = field(default_factory=dict, hash=False)


class Authorization:
    def __init__(self, account: str) -> None:
        self._account = account
        self._targets: dict[str, dict[str, str]] = {}  # the tags of scalable targets, which moto does not keep

    def needs(self, call: Call) -> Iterator[Need]:
        """All that the caller must be allowed; nothing for calls that anybody may make."""
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
        if tags and call.operation.startswith(("Create", "Put", "Request")) and call.service in TAG:
            yield Need(f"{call.service}:{TAG[call.service]}", self._tagged(call), requested)

    def push(self, region: str, repository: str) -> list[Need]:
        """What docker push needs."""
        return [Need(action, f"arn:aws:ecr:{region}:{self._account}:repository/{repository}") for action in PUSH]

    def _here(self, call: Call, service: str) -> str:
        return f"arn:aws:{service}:{call.region}:{self._account}:"

    def _lambda(self, call: Call) -> Iterator[Need]:
        p, functions = call.params, self._here(call, "lambda") + "function:"
        name = str(p.get("FunctionName", "")).rpartition(":function:")[2]
        resource = functions + name + (f":{p['Qualifier']}" if p.get("Qualifier") else "") if name else NONE
        yield Need(call.action, resource)
        if "Role" in p:
            yield Need("iam:PassRole", str(p["Role"]), {"iam:PassedToService": LAMBDA})
        if (p.get("VpcConfig") or {}).get("SubnetIds"):
            yield from (Need(action, NONE) for action in SEE_NETWORK)
        if image := p.get("ImageUri") or (p.get("Code") or {}).get("ImageUri"):
            repository = str(image).partition("/")[2].partition("@")[0].partition(":")[0]
            ecr = self._here(call, "ecr") + f"repository/{repository}"
            yield from (Need(action, ecr) for action in LET_LAMBDA_PULL)

    def _api_gateway(self, call: Call, requested: dict[str, str]) -> Iterator[Need]:
        """Its actions are HTTP methods, on paths. A tag belongs to what has it, and to nothing below."""
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
            yield from (Need(action, NONE) for action in DELIVER_LOGS)
        if call.operation in ("CreateApi", "CreateDomainName"):
            yield self._linked_role("ops.apigateway.amazonaws.com")

    def _scaling(self, call: Call, tags: dict[str, str]) -> Iterator[Need]:
        if (call.service, call.operation) in NO_RESOURCE:
            yield Need(call.action, NONE)
            return
        target = call.params["ResourceId"]
        context = {f"aws:ResourceTag/{key}": value for key, value in self._targets.get(target, {}).items()}
        requested = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
        arn = self._here(call, "application-autoscaling") + "scalable-target/0ec5abcdef"
        yield Need(call.action, arn, context | requested)
        if call.operation == "RegisterScalableTarget":
            self._targets[target] = tags or self._targets.get(target, {})
            yield Need("application-autoscaling:TagResource", arn, requested)
            yield self._linked_role("lambda.application-autoscaling.amazonaws.com")

    def _linked_role(self, principal: str) -> Need:
        """As if the account used that service for the first time."""
        role = f"arn:aws:iam::{self._account}:role/aws-service-role/{principal}/AWSServiceRoleForIt"
        return Need("iam:CreateServiceLinkedRole", role, {"iam:AWSServiceName": principal})

    def _resources(self, call: Call) -> list[str]:
        p, operation, here = call.params, call.operation, self._here(call, call.service)
        if (call.service, operation) in NO_RESOURCE:
            return [NONE]
        match call.service:
            case "ecr" if "repositoryNames" in p:
                return [here + f"repository/{name}" for name in p["repositoryNames"]]
            case "logs" if "logGroupName" in p:
                return [here + f"log-group:{p['logGroupName']}:log-stream:"]  # as its refusals say
            case "cloudwatch" if operation == "DescribeAlarms":
                return [here + "alarm:*"]  # mattclay/aws-terminator#63
            case "cloudwatch" if "AlarmNames" in p:
                return [here + f"alarm:{name}" for name in p["AlarmNames"]]
            case "ssm" if p.get("Name"):
                return [here + f"parameter/{str(p['Name']).strip('/')}"]
            case "secretsmanager":
                return [self._secret(call)]
            case "route53":
                zone = str(p.get("HostedZoneId") or p.get("Id")).rpartition("/")[2]
                return [f"arn:aws:route53:::hostedzone/{zone}"]
            case "s3":
                return resources(call, self._account)
            case "iam" if "OpenIDConnectProviderArn" in p:
                return [str(p["OpenIDConnectProviderArn"])]
        return [self._tagged(call)]

    def _tagged(self, call: Call) -> str:
        """The one thing that most calls name, and that gets the tags of a call that makes it."""
        p, here = call.params, self._here(call, call.service)
        for key in ("CertificateArn", "TopicArn", "resourceArn", "ResourceArn", "ResourceARN"):
            if key in p:
                return str(p[key])
        for key, arn in {
            "RoleName": f"arn:aws:iam::{self._account}:role/",
            "repositoryName": here + "repository/",
            "logGroupName": here + "log-group:",
            "AlarmName": here + "alarm:",
        }.items():
            if key in p:
                return arn + str(p[key])
        match call.service, call.operation:
            case "sns", _:
                return here + str(p.get("Name", NONE))
            case "ssm", _:
                return here + f"parameter/{str(p['Name']).strip('/')}"
            case "secretsmanager", _:
                return here + f"secret:{p['Name']}-abcdef"
            case "lambda", _:
                return here + f"function:{p['FunctionName']}"
        return NONE

    def _secret(self, call: Call) -> str:
        """AWS knows no ARN of a secret that is not there, and checks its name."""
        name = str(call.params.get("SecretId") or call.params.get("Name"))
        held: Any = secretsmanager_backends[self._account][call.region].secrets.get(name)
        return str(held.arn) if held else name

    def _context(self, call: Call) -> dict[str, str]:
        p = call.params
        if call.service == "acm" and "CertificateArn" in p:
            backend = acm_backends[self._account][call.region]
            held = backend._certificates.get(p["CertificateArn"])
            return {f"aws:ResourceTag/{key}": str(value) for key, value in (held.tags.items() if held else ())}
        if (call.service, call.operation) == ("secretsmanager", "CreateSecret"):
            return {"secretsmanager:Name": str(p["Name"])}
        return {}


TAG = {
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


def _tags(tags: Any) -> dict[str, str]:
    """As a mapping; AWS's services take them in one of two ways."""
    if isinstance(tags, dict):
        return {str(key): str(value) for key, value in tags.items()}
    return {str(tag["Key"]): str(tag.get("Value", "")) for tag in tags or []}
