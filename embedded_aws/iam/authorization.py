"""Return the permissions that AWS requires for a call: actions, the resource of each, and condition keys.

They come from the Service Authorization Reference. Actions that a call requires in addition to its own name their
source:
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from moto.acm.models import acm_backends
from moto.apigatewayv2.models import apigatewayv2_backends
from moto.applicationautoscaling.models import applicationautoscaling_backends
from moto.iam.models import iam_backends
from moto.scheduler.models import scheduler_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.sqs.models import sqs_backends

from embedded_aws.calls import CALLS_WITHOUT_RESOURCE, TAG_ACTIONS, Call, resources
from embedded_aws.iam.policy import NO_RESOURCE
from embedded_aws.lambda_.state import EventSourceMapping

LAMBDA = "lambda.amazonaws.com"
SCHEDULER = "scheduler.amazonaws.com"
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
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html
BOUNDARY_ACTIONS = {
    "AttachRolePolicy", "CreateRole", "DeleteRolePermissionsBoundary", "DeleteRolePolicy", "DetachRolePolicy",
    "PutRolePermissionsBoundary", "PutRolePolicy", "UpdateAssumeRolePolicy",
}  # fmt: skip


@dataclass(frozen=True)
class Need:
    """A permission: an action on a resource, with the values of condition keys."""

    action: str
    resource: str
    context: dict[str, str] = field(default_factory=dict, hash=False)


class Authorization:
    """The permissions that callers of an account need.

    `mapping` returns the event source mapping of a Region with a UUID.
    """

    def __init__(self, account: str, mapping: Callable[[str, str], EventSourceMapping | None]) -> None:
        self._account = account
        self._mapping = mapping

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
            case "lambda" if "EventSourceMapping" in call.operation:
                yield self._event_source_mapping(call, requested)
            case "lambda":
                yield from self._lambda(call)
            case _:
                for resource in self._resources(call):
                    yield Need(call.action, resource, requested | self._context(call))
                yield from self._additional(call)
        if tags and call.operation.startswith(("Create", "Put", "Request")) and call.service in TAG_ACTIONS:
            yield Need(f"{call.service}:{TAG_ACTIONS[call.service]}", self._resource(call), requested)

    def push(self, region: str, repository: str) -> list[Need]:
        """Return the permissions that `docker push` requires."""
        arn = f"arn:aws:ecr:{region}:{self._account}:repository/{repository}"
        return [Need(action, arn) for action in PUSH_ACTIONS]

    def _arn_prefix(self, call: Call, service: str) -> str:
        return f"arn:aws:{service}:{call.region}:{self._account}:"

    def _event_source_mapping(self, call: Call, requested: dict[str, str]) -> Need:
        """Return the permission of a call for event source mappings, with the function as a condition key.

        https://docs.aws.amazon.com/lambda/latest/dg/lambda-api-permissions-ref.html
        """
        p, prefix = call.params, self._arn_prefix(call, "lambda")
        if call.operation == "ListEventSourceMappings":
            return Need(call.action, NO_RESOURCE)
        mapping = self._mapping(call.region, str(p.get("UUID")))
        function = str(p.get("FunctionName") or (mapping.settings.function if mapping else ""))
        name = function.rpartition(":function:")[2]
        context = requested | ({"lambda:FunctionArn": f"{prefix}function:{name}"} if name else {})
        if call.operation == "CreateEventSourceMapping":
            return Need(call.action, NO_RESOURCE, context)
        context |= {f"aws:ResourceTag/{key}": value for key, value in (mapping.tags if mapping else {}).items()}
        return Need(call.action, f"{prefix}event-source-mapping:{p['UUID']}", context)

    def _additional(self, call: Call) -> Iterator[Need]:
        """Return the permissions that calls of SQS and EventBridge Scheduler require on other resources."""
        p = call.params
        if (call.service, call.operation) == ("sqs", "StartMessageMoveTask"):
            # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html
            source = str(p["SourceArn"])
            for action in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes"):
                yield Need(f"sqs:{action}", source)
            for destination in [p["DestinationArn"]] if p.get("DestinationArn") else self._sources(call, source):
                yield Need("sqs:SendMessage", destination)
        if call.service == "scheduler" and call.passed_role:
            yield Need("iam:PassRole", call.passed_role, {"iam:PassedToService": SCHEDULER})
        if (call.service, call.operation) == ("scheduler", "DeleteScheduleGroup"):
            yield Need("scheduler:DeleteSchedule", self._arn_prefix(call, "scheduler") + f"schedule/{p['Name']}/*")

    def _sources(self, call: Call, dead_letter_queue: str) -> list[str]:
        """Return the ARNs of the queues whose dead-letter queue this is."""
        queues: Any = sqs_backends[self._account][call.region].queues.values()
        return [
            queue.queue_arn
            for queue in queues
            if (queue.redrive_policy or {}).get("deadLetterTargetArn") == dead_letter_queue
        ]

    def _lambda(self, call: Call) -> Iterator[Need]:
        p, functions = call.params, self._arn_prefix(call, "lambda") + "function:"
        if ":event-source-mapping:" in (mapping_arn := str(p.get("Resource"))):
            mapping = self._mapping(call.region, mapping_arn.rpartition(":")[2])
            tags = {f"aws:ResourceTag/{key}": value for key, value in (mapping.tags if mapping else {}).items()}
            yield Need(call.action, mapping_arn, tags)
            return
        name = str(p.get("FunctionName") or p.get("Resource", "")).rpartition(":function:")[2]
        resource = functions + name + (f":{p['Qualifier']}" if p.get("Qualifier") else "") if name else NO_RESOURCE
        yield Need(call.action, resource)
        if "Role" in p:
            yield Need("iam:PassRole", str(p["Role"]), {"iam:PassedToService": LAMBDA})
        if (p.get("VpcConfig") or {}).get("SubnetIds"):
            yield from (Need(action, NO_RESOURCE) for action in VPC_ACTIONS)
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
            yield from (Need(action, NO_RESOURCE) for action in ACCESS_LOG_ACTIONS)
        if call.operation in ("CreateApi", "CreateDomainName"):
            yield self._service_linked_role("ops.apigateway.amazonaws.com")

    def _scaling(self, call: Call, tags: dict[str, str]) -> Iterator[Need]:
        if (call.service, call.operation) in CALLS_WITHOUT_RESOURCE:
            yield Need(call.action, NO_RESOURCE)
            return
        targets = applicationautoscaling_backends[self._account][call.region].targets
        target = targets.get(call.params["ScalableDimension"], {}).get(call.params["ResourceId"])
        context = {f"aws:ResourceTag/{key}": value for key, value in getattr(target, "tags", {}).items()}
        requested = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
        arn = self._arn_prefix(call, "application-autoscaling") + "scalable-target/0ec5abcdef"
        yield Need(call.action, arn, context | requested)
        if call.operation == "RegisterScalableTarget":
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
            return [NO_RESOURCE]
        match call.service:
            case "ecr" if "repositoryNames" in p:
                return [prefix + f"repository/{name}" for name in p["repositoryNames"]]
            case "logs" if "logGroupName" in p:
                return [prefix + f"log-group:{p['logGroupName']}:log-stream:"]  # as in AWS's error messages
            case "cloudwatch" if operation == "DescribeAlarms":
                return [prefix + "alarm:*"]  # mattclay/aws-terminator#63
            case "cloudwatch" if "AlarmNames" in p:
                return [prefix + f"alarm:{name}" for name in p["AlarmNames"]]
            case "ssm" if name := p.get("Name") or p.get("ResourceId"):
                return [prefix + f"parameter/{str(name).strip('/')}"]
            case "secretsmanager":
                return [self._secret(call)]
            case "route53":
                zone = str(p.get("HostedZoneId") or p.get("Id")).rpartition("/")[2]
                return [f"arn:aws:route53:::hostedzone/{zone}"]
            case "s3" | "sqs":
                return resources(call, self._account)
            case "scheduler":
                return [self._schedule(call)]
            case "dynamodb" if "TableName" in p:  # a name, or the ARN of the table
                table = str(p["TableName"])
                return [table if table.startswith("arn:") else f"{prefix}table/{table}"]
            case "iam" if "OpenIDConnectProviderArn" in p:
                return [str(p["OpenIDConnectProviderArn"])]
            case "iam" if operation in ("GetPolicy", "GetPolicyVersion"):
                return [str(p["PolicyArn"])]
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
                return prefix + str(p.get("Name", NO_RESOURCE))
            case "ssm":
                return prefix + f"parameter/{str(p['Name']).strip('/')}"
            case "secretsmanager":
                return prefix + f"secret:{p['Name']}-abcdef"
            case "lambda" if call.operation == "CreateEventSourceMapping":
                return prefix + "event-source-mapping:0ec5abcd-0000-4000-8000-000000000000"  # the UUID is not known yet
            case "lambda":
                return prefix + f"function:{p['FunctionName']}"
            case "scheduler":
                return self._schedule(call)
            case "sqs":
                return resources(call, self._account)[0]
        return NO_RESOURCE

    def _secret(self, call: Call) -> str:
        """Return the ARN of a secret or, if it does not exist, its name, on which AWS then checks the action."""
        name = str(call.params.get("SecretId") or call.params.get("Name"))
        secret: Any = secretsmanager_backends[self._account][call.region].secrets.get(name)
        return str(secret.arn) if secret else name

    def _schedule(self, call: Call) -> str:
        """Return the ARN of the schedule, or of the schedule group, of a call.

        https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridgescheduler.html
        """
        p, prefix = call.params, self._arn_prefix(call, "scheduler")
        if "ResourceArn" in p:
            return str(p["ResourceArn"])
        if "Group" in call.operation:
            return f"{prefix}schedule-group/{p['Name']}"
        return f"{prefix}schedule/{p.get('GroupName') or 'default'}/{p['Name']}"

    def _context(self, call: Call) -> dict[str, str]:
        """Return the condition keys of the call, except for those of its tags."""
        p = call.params
        if call.service == "acm" and "CertificateArn" in p:
            certificate = acm_backends[self._account][call.region]._certificates.get(p["CertificateArn"])
            tags = certificate.tags if certificate else {}
            return {f"aws:ResourceTag/{key}": str(value) for key, value in tags.items()}
        if call.service == "sqs":
            queues: Any = sqs_backends[self._account][call.region].queues
            queue = queues.get(resources(call, self._account)[0].rpartition(":")[2])
            return {f"aws:ResourceTag/{key}": value for key, value in (queue.tags if queue else {}).items()}
        if call.service == "scheduler" and ":schedule-group/" in (arn := self._resources(call)[0]):
            tagger = scheduler_backends[self._account][call.region].tagger
            return {f"aws:ResourceTag/{key}": value for key, value in tagger.get_tag_dict_for_resource(arn).items()}
        if (call.service, call.operation) == ("secretsmanager", "CreateSecret"):
            return {"secretsmanager:Name": str(p["Name"])}
        if call.service == "iam" and call.operation in BOUNDARY_ACTIONS:
            role = next(
                (role for role in iam_backends[self._account]["aws"].roles.values() if role.name == p["RoleName"]), None
            )
            boundary = p.get("PermissionsBoundary") or (role and role.permissions_boundary_arn)
            return {"iam:PermissionsBoundary": str(boundary)} if boundary else {}
        return {}


def _tags(tags: Any) -> dict[str, str]:
    """Return tags as a dictionary. Some services use a dictionary, others a list of keys and values."""
    if isinstance(tags, dict):
        return {str(key): str(value) for key, value in tags.items()}
    return {str(tag["Key"]): str(tag.get("Value", "")) for tag in tags or []}
