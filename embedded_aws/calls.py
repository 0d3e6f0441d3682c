"""Identify the AWS call of an HTTP request: service, operation, parameters, caller and resources.

The request is parsed with AWS's own service models.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from moto.core.model import OperationModel
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.utils import get_service_model
from moto.secretsmanager.models import secretsmanager_backends
from werkzeug.exceptions import HTTPException

from embedded_aws.iam.policy import NO_RESOURCE

Params = dict[str, Any]  # the parameters of a call, with the keys of AWS's API

CREDENTIAL = re.compile(r"Credential=([^/]+)/\d{8}/([^/]+)/([^/]+)/aws4_request")
# botocore's names of the services whose signing name differs.
SERVICES = {"monitoring": "cloudwatch", "tagging": "resourcegroupstaggingapi"}
# The operations that change nothing begin with one of these words.
READS = ("Get", "List", "Describe", "BatchGet", "BatchCheck", "Filter", "Head", "Lookup", "Simulate", "Test")
# IAM actions whose name differs from that of the operation.
ACTIONS = {
    ("lambda", "Invoke"): "lambda:InvokeFunction",
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsqs.html
    ("sqs", "ChangeMessageVisibilityBatch"): "sqs:ChangeMessageVisibility",
    ("sqs", "DeleteMessageBatch"): "sqs:DeleteMessage",
    ("sqs", "SendMessageBatch"): "sqs:SendMessage",
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
    ("s3", "DeleteObjects"): "s3:DeleteObject",
    ("s3", "GetPublicAccessBlock"): "s3:GetBucketPublicAccessBlock",
    ("s3", "HeadObject"): "s3:GetObject",
    ("s3", "ListObjectsV2"): "s3:ListBucket",
    ("s3", "PutPublicAccessBlock"): "s3:PutBucketPublicAccessBlock",
}
TAG_ACTIONS = {  # checked when a call creates a resource with tags
    "acm": "AddTagsToCertificate",
    "cloudwatch": "TagResource",
    "ecr": "TagResource",
    "iam": "TagRole",
    "lambda": "TagResource",
    "logs": "TagResource",
    "scheduler": "TagResource",
    "secretsmanager": "TagResource",
    "sqs": "TagQueue",
    "sns": "TagResource",
    "ssm": "AddTagsToResource",
}
# Calls whose actions have no resource-level permissions.
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
    ("iam", "SimulateCustomPolicy"),
    ("sqs", "ListQueues"),
    ("scheduler", "ListScheduleGroups"),
    ("scheduler", "ListSchedules"),
}
DEPLOYER = "deployer"  # the caller with the credentials of EmbeddedAws.environ
CLIENT = "client"  # the caller of a public URL
POLLER = "poller"  # Lambda, when it receives the messages of a queue and invokes a function with them


@dataclass
class Call:
    """An AWS call, or a request to a public URL.

    `caller` is DEPLOYER, the ARN of the role whose credentials a function used, POLLER, CLIENT, or "" if the request
    is not signed.
    `status` is the HTTP status of the response, or 0 before it is known.
    """

    service: str
    operation: str
    params: Params
    status: int = 0
    mutating: bool = False
    caller: str = DEPLOYER
    region: str = "us-east-1"
    model: OperationModel | None = field(default=None, repr=False)
    protocol: str = field(default="json", repr=False)

    @property
    def uses_xml(self) -> bool:
        """True if the response is XML."""
        return self.protocol in ("query", "rest-xml", "ec2")

    @property
    def action(self) -> str:
        """The IAM action of the operation, such as lambda:CreateFunction."""
        if self.service == "apigatewayv2" and self.model:  # its IAM actions are HTTP methods
            return f"apigateway:{self.model.http['method']}"
        return ACTIONS.get((self.service, self.operation), f"{self.service}:{self.operation}")

    @property
    def passed_role(self) -> str:
        """The ARN of the role that the call passes to a service, or an empty string."""
        if self.service == "scheduler":
            return str((self.params.get("Target") or {}).get("RoleArn", ""))
        return str(self.params.get("Role", "")) if self.service == "lambda" else ""

    @property
    def actions(self) -> list[str]:
        """The IAM actions that AWS checks for this call."""
        additional = ["iam:PassRole"] if self.passed_role else []
        tags = self.params.get("Tags") or self.params.get("tags")
        if tags and self.service in TAG_ACTIONS and "Tag" not in self.operation:
            additional.append(f"{self.service}:{TAG_ACTIONS[self.service]}")
        return [self.action, *additional]


def identify(request: Request, body: bytes) -> Call:
    """Return the call of a request. Its operation is empty if AWS's models do not contain it."""
    credential = CREDENTIAL.search(request.headers.get("Authorization", ""))
    if not credential:
        return Call("", "", {}, caller="")
    region, signing_name = credential[2], credential[3].lower()
    service = SERVICES.get(signing_name, signing_name)
    if service == "apigateway" and request.path.startswith("/v2/"):
        service = "apigatewayv2"
    try:
        model = get_service_model(service)
        operation, uri_params = get_service_router(service).match(request)
    except (HTTPException, NotImplementedError, LookupError, ValueError):
        return Call(service, "", {}, region=region)
    protocol = determine_request_protocol(model, request.content_type)
    parsed = PROTOCOL_PARSERS[protocol](operation).parse(
        {
            "method": request.method,
            "values": request.values,
            "headers": request.headers,
            "body": body,
            "url_path": request.path,
            "url_params": uri_params,
        }
    )
    params = {key: value for key, value in dict(parsed).items() if value is not None}
    mutating = not operation.name.startswith(READS)
    return Call(service, operation.name, params, 0, mutating, DEPLOYER, region, operation, protocol)


def access_key(request: Request) -> str:
    """Return the access key ID that signed a request, or an empty string."""
    credential = CREDENTIAL.search(request.headers.get("Authorization", ""))
    return credential[1] if credential else ""


def resources(call: Call, account: str) -> list[str]:
    """Return the ARNs of the resources that IAM checks for a call, or NO_RESOURCE if none is known."""
    p, scope = call.params, f"{call.region}:{account}"
    if call.service == "lambda" and "FunctionName" in p:
        name = str(p["FunctionName"]).rpartition(":function:")[2]
        qualifier = f":{p['Qualifier']}" if p.get("Qualifier") else ""
        return [f"arn:aws:lambda:{scope}:function:{name}{qualifier}"]
    if call.service == "secretsmanager" and (secret_id := str(p.get("SecretId") or p.get("Name") or "")):
        secret: Any = secretsmanager_backends[account][call.region].secrets.get(secret_id)
        return [secret.arn if secret else secret_id]  # the ARN of a missing secret is unknown
    if call.service == "ssm" and (names := p.get("Names") or [p.get("Name") or p.get("Path")]) and names[0]:
        return [f"arn:aws:ssm:{scope}:parameter/{name.strip('/')}" for name in names]
    if call.service == "sqs" and (queue := p.get("QueueUrl") or p.get("QueueName")):
        return [f"arn:aws:sqs:{scope}:{str(queue).rpartition('/')[2]}"]
    if call.service == "s3" and "Bucket" in p:
        keys = [p["Key"]] if "Key" in p else [item["Key"] for item in p.get("Delete", {}).get("Objects", [])]
        bucket = f"arn:aws:s3:::{p['Bucket']}"
        return [f"{bucket}/{key}" for key in keys] or [bucket]
    for key, arn in {
        "RoleName": f"arn:aws:iam::{account}:role/",
        "repositoryName": f"arn:aws:ecr:{scope}:repository/",
        "logGroupName": f"arn:aws:logs:{scope}:log-group:",
        "AlarmName": f"arn:aws:cloudwatch:{scope}:alarm:",
        "TableName": f"arn:aws:dynamodb:{scope}:table/",
    }.items():
        if key in p:
            return [arn + str(p[key])]
    for key in ("Resource", "resourceArn", "TopicArn", "ResourceARN", "SecretId", "SourceArn"):
        if str(p.get(key, "")).startswith("arn:"):
            return [str(p[key])]
    return [NO_RESOURCE]
