"""List the resources of a service in an account. It calls AWS itself, so that it can check the deploy tool."""

from collections.abc import Callable
from typing import Any

LISTS = (  # service, operation, the key of a resource's name
    ("lambda", "list_functions", "FunctionName"),
    ("ecr", "describe_repositories", "repositoryName"),
    ("iam", "list_roles", "RoleName"),
    ("logs", "describe_log_groups", "logGroupName"),
    ("cloudwatch", "describe_alarms", "AlarmName"),
    ("sns", "list_topics", "TopicArn"),
    ("apigatewayv2", "get_apis", "Name"),
    ("apigatewayv2", "get_domain_names", "DomainName"),
    ("acm", "list_certificates", "DomainName"),
    ("application-autoscaling", "describe_scalable_targets", "ResourceId"),
    ("ssm", "describe_parameters", "Name"),
    ("secretsmanager", "list_secrets", "Name"),  # without the secrets that are scheduled for deletion
)


def find_resources(client: Callable[[str], Any], part: str = "") -> list[str]:
    """Return "service name" for every resource whose name contains `part`. `client` creates the client of a service."""
    resources = []
    for service, operation, key in LISTS:
        options = {"ServiceNamespace": "lambda"} if service == "application-autoscaling" else {}
        pages = client(service).get_paginator(operation).paginate(**options)
        items = [item for page in pages for content in page.values() if isinstance(content, list) for item in content]
        resources += [f"{service} {item[key]}" for item in items if part in item[key]]
    return resources
