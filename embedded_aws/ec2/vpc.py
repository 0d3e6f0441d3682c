"""Restrict the AWS services that a function in a VPC can reach to those with a gateway or an interface endpoint.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc-internet.html
"""

import socket
from functools import cache
from typing import Any

from moto.ec2.models import ec2_backends

from embedded_aws.errors import invalid

SERVICES = ("secretsmanager", "ssm")


def endpoints(account: str, region: str, subnets: list[str], url: str) -> dict[str, str]:
    """Return the environment variables with the endpoints that a function in these subnets can reach.

    A function outside a VPC, or in subnets with a gateway, reaches all services at `url`. Otherwise, only the services
    with an interface endpoint are reachable.
    """
    if not subnets:
        return {"AWS_ENDPOINT_URL": url}
    ec2 = ec2_backends[account][region]
    if all(_has_gateway(ec2, subnet) for subnet in subnets):
        return {"AWS_ENDPOINT_URL": url}
    vpcs = {ec2.get_subnet(subnet).vpc_id for subnet in subnets}
    endpoint_services = {endpoint.service_name for endpoint in ec2.vpc_end_points.values() if endpoint.vpc_id in vpcs}
    reachable = [service for service in SERVICES if f"com.amazonaws.{region}.{service}" in endpoint_services]
    unreachable_url = f"http://127.0.0.1:{_unreachable_server().getsockname()[1]}"
    return {"AWS_ENDPOINT_URL": unreachable_url, **{f"AWS_ENDPOINT_URL_{name.upper()}": url for name in reachable}}


def find_vpc(account: str, region: str, subnets: list[str], groups: list[str]) -> str:
    """Return the ID of the VPC of these subnets. Raise AwsError if a subnet or a security group does not exist in it.

    https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-networking.html
    """
    ec2 = ec2_backends[account][region]
    known = {subnet.id: subnet.vpc_id for zone in list(ec2.subnets.values()) for subnet in list(zone.values())}
    for subnet in subnets:
        if subnet not in known:
            raise invalid(
                "Error occurred while DescribeSubnets. EC2 Error Code: InvalidSubnetID.NotFound. "
                f"EC2 Error Message: The subnet ID '{subnet}' does not exist"
            )
    vpc = known[subnets[0]]
    if any(known[subnet] != vpc for subnet in subnets):  # the message is not AWS's
        raise invalid("Security Groups and subnets are required to be in the same VPC.")
    for group in groups:
        if group not in ec2.groups[vpc]:
            raise invalid(
                "Error occurred while DescribeSecurityGroups. EC2 Error Code: InvalidGroup.NotFound. "
                f"EC2 Error Message: The security group '{group}' does not exist"
            )
    return str(vpc)


def _has_gateway(ec2: Any, subnet: str) -> bool:
    """Return True if the route table of the subnet has a route to a NAT or transit gateway."""
    tables = ec2.describe_route_tables(filters={"association.subnet-id": [subnet]})
    if not tables:
        vpc = ec2.get_subnet(subnet).vpc_id
        tables = ec2.describe_route_tables(filters={"vpc-id": [vpc], "association.main": ["true"]})
    return any(route.nat_gateway or route.transit_gateway for table in tables for route in table.routes)


@cache
def _unreachable_server() -> socket.socket:
    """Return a listening socket that accepts no connection, so that clients wait for their time-out."""
    return socket.create_server(("127.0.0.1", 0), backlog=1024)
