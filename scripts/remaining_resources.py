"""What there is of a service in an account, asked of each of AWS's services and not of the deploy tool."""

from collections.abc import Callable
from typing import Any

LISTS = (  # service, operation, where an item has its name
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
    ("secretsmanager", "list_secrets", "Name"),  # and not what can only be brought back
)


def find_resources(client: Callable[[str], Any], part: str = "") -> list[str]:
    """Service and name of everything whose name contains `part`; `client` makes a service's client."""
    found = []
    for service, operation, key in LISTS:
        options = {"ServiceNamespace": "lambda"} if service == "application-autoscaling" else {}
        pages = client(service).get_paginator(operation).paginate(**options)
        items = [item for page in pages for content in page.values() if isinstance(content, list) for item in content]
        found += [f"{service} {item[key]}" for item in items if part in item[key]]
    return found
