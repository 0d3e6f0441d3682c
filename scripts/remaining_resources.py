"""List the resources of a service in an account. It calls AWS itself, so that it can check the deploy tool."""

from collections.abc import Callable
from typing import Any

LISTS = (  # service, operation, the key of a resource's name, or "" if the list contains names
    ("lambda", "list_functions", "FunctionName"),
    ("lambda", "list_event_source_mappings", "FunctionArn"),
    ("sqs", "list_queues", ""),
    ("scheduler", "list_schedule_groups", "Name"),
    ("scheduler", "list_schedules", "GroupName"),
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
DEFAULT_GROUP = "default"  # the group of schedules that every account has


def find_resources(client: Callable[[str], Any], part: str = "") -> list[str]:
    """Return "service name" for every resource whose name contains `part`. `client` creates the client of a service.

    The default schedule group exists in every account.
    """
    resources = []
    for service, operation, key in LISTS:
        options = {"ServiceNamespace": "lambda"} if service == "application-autoscaling" else {}
        pages = client(service).get_paginator(operation).paginate(**options)
        items = [item for page in pages for content in page.values() if isinstance(content, list) for item in content]
        names = [item[key] if key else item.rpartition("/")[2] for item in items]
        resources += [f"{service} {name}" for name in names if part in name]
    return [resource for resource in resources if resource != f"scheduler {DEFAULT_GROUP}"]
