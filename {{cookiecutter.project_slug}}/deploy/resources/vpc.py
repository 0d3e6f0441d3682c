"""The VPC that the function is connected to, if deploy.toml has a [vpc] table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deploy.errors import DeployError, suppress_errors
from deploy.iam import Statement, allow
from deploy.resource import Check, Component
from deploy.state import State

# Lambda uses the function's role to connect it to a VPC. AWS does not support narrower resources for these actions
# (docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions).
NETWORK_INTERFACE_ACTIONS = """
    CreateNetworkInterface DeleteNetworkInterface DescribeNetworkInterfaces DescribeSubnets AssignPrivateIpAddresses
    UnassignPrivateIpAddresses
"""
# An internet gateway is missing here, because it does not serve functions.
ROUTES_TO_AWS = {"NatGatewayId", "TransitGatewayId", "NetworkInterfaceId"}


def sorted_vpc_config(config: Mapping[str, Any]) -> State:
    """Return a VpcConfig with sorted IDs: AWS returns them in any order."""
    return {key: sorted(config.get(key, [])) for key in ("SubnetIds", "SecurityGroupIds")}


class Vpc(Component):
    """The connection to a VPC. It has no resource of its own: Lambda manages the network interfaces."""

    def function_settings(self) -> State:
        """Return the subnets and security groups; empty ones disconnect the function."""
        vpc = self.config.vpc
        ids = {"SubnetIds": vpc.subnet_ids, "SecurityGroupIds": vpc.security_group_ids} if vpc else {}
        return {"VpcConfig": sorted_vpc_config(ids)}

    def service_permissions(self) -> list[Statement]:
        """Also needed while an older version that is kept is in a VPC, and to disconnect the function."""
        if self.config.vpc or self._has_version_in_vpc():
            return [allow("ec2", NETWORK_INTERFACE_ACTIONS, "*")]
        return []

    def _has_version_in_vpc(self) -> bool:
        with suppress_errors("ResourceNotFoundException"):
            name = self.stage.name
            versions = self.stage.list_all("lambda", "list_versions_by_function", "Versions", FunctionName=name)
            return any(version.get("VpcConfig", {}).get("SubnetIds") for version in versions)
        return False

    def deploy_permissions(self) -> list[Statement]:
        """Lambda looks up the subnets with the permissions of the caller."""
        return [allow("ec2", "DescribeSecurityGroups DescribeSubnets DescribeVpcs", "*")] if self.config.vpc else []

    def checks(self) -> list[Check]:
        """Return the check of the route from the subnets to the service that stores the secrets."""
        return [Check("network", self._check_network)]

    def _check_network(self) -> str:
        """Return how the function reaches the service that stores its secrets. Raise DeployError if it cannot.

        A function in a VPC has no internet access. Without such a route it times out when it starts.
        """
        if self.config.vpc is None:
            return "no VPC"
        ec2: Any = self.stage.client("ec2")
        service = f"com.amazonaws.{self.config.region}.{self.config.secrets_service}"
        subnets = ec2.describe_subnets(SubnetIds=self.config.vpc.subnet_ids)["Subnets"]
        in_vpc = [{"Name": "vpc-id", "Values": [subnets[0]["VpcId"]]}]
        endpoints = ec2.describe_vpc_endpoints(Filters=in_vpc)["VpcEndpoints"]
        if any(
            endpoint["ServiceName"] == service and endpoint["State"].lower() == "available" for endpoint in endpoints
        ):
            return f"an interface endpoint leads to {service}"
        tables = ec2.describe_route_tables(Filters=in_vpc)["RouteTables"]
        for subnet in self.config.vpc.subnet_ids:
            own = [table for table in tables if any(link.get("SubnetId") == subnet for link in table["Associations"])]
            main = [table for table in tables if any(link.get("Main") for link in table["Associations"])]
            routes = [route for table in (own or main) for route in table["Routes"]]
            if not any(route.keys() & ROUTES_TO_AWS for route in routes):
                raise DeployError(
                    f"No route leads from {subnet} to {service}. An internet gateway does not serve functions.",
                    "Add a route through a NAT gateway, or an interface endpoint for that service with private DNS.",
                )
        return "a gateway leads to AWS"
