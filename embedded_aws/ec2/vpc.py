"""What of AWS does a function in a VPC reach? Only what a gateway or an interface endpoint leads to.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc-internet.html
"""

import socket
from functools import cache
from typing import Any

from moto.ec2.models import ec2_backends

SERVICES = ("secretsmanager", "ssm")


def endpoints(account: str, region: str, subnets: list[str], url: str) -> dict[str, str]:
    """The variables by which a function in these subnets, or in no VPC, finds AWS."""
    if not subnets:
        return {"AWS_ENDPOINT_URL": url}
    ec2 = ec2_backends[account][region]  # which takes moto a while to make
    if all(_has_gateway(ec2, subnet) for subnet in subnets):
        return {"AWS_ENDPOINT_URL": url}
    vpcs = {ec2.get_subnet(subnet).vpc_id for subnet in subnets}
    led_to = {one.service_name for one in ec2.vpc_end_points.values() if one.vpc_id in vpcs}
    reached = [service for service in SERVICES if f"com.amazonaws.{region}.{service}" in led_to]
    nowhere = f"http://127.0.0.1:{_nowhere().getsockname()[1]}"
    return {"AWS_ENDPOINT_URL": nowhere} | {f"AWS_ENDPOINT_URL_{service.upper()}": url for service in reached}


def make_subnet(ec2: Any, block: str = "10.0.0.0/24") -> tuple[str, str]:
    """A VPC, the same for all, and a new subnet in it that leads nowhere; `ec2` is a client."""
    network = "10.0.0.0/16"
    found = ec2.describe_vpcs(Filters=[{"Name": "cidr", "Values": [network]}])["Vpcs"]
    vpc = found[0]["VpcId"] if found else ec2.create_vpc(CidrBlock=network)["Vpc"]["VpcId"]
    return vpc, ec2.create_subnet(VpcId=vpc, CidrBlock=block)["Subnet"]["SubnetId"]


def _has_gateway(ec2: Any, subnet: str) -> bool:
    tables = ec2.describe_route_tables(filters={"association.subnet-id": [subnet]})
    if not tables:
        vpc = ec2.get_subnet(subnet).vpc_id
        tables = ec2.describe_route_tables(filters={"vpc-id": [vpc], "association.main": ["true"]})
    return any(route.nat_gateway or route.transit_gateway for table in tables for route in table.routes)


@cache
def _nowhere() -> socket.socket:
    """Where packets get lost: a connection is never answered, and only a time-out ends it."""
    return socket.create_server(("127.0.0.1", 0), backlog=1024)
