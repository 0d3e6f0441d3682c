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
GATEWAYS = {"NatGatewayId", "TransitGatewayId", "NetworkInterfaceId"}


def sorted_vpc_config(config: Mapping[str, Any]) -> State:
    """Return a VpcConfig with sorted IDs: AWS returns them in any order."""
    return {key: sorted(config.get(key, [])) for key in ("SubnetIds", "SecurityGroupIds")}


def _leads_to_the_internet(route: Mapping[str, Any]) -> bool:
    """Return True for a default route through a gateway that exists."""
    is_active = route.get("State") != "blackhole"  # its gateway was deleted
    return is_active and route.get("DestinationCidrBlock") == "0.0.0.0/0" and bool(route.keys() & GATEWAYS)


class Vpc(Component):
    """The connection to a VPC. It has no resource of its own: Lambda manages the network interfaces."""

    def function_settings(self) -> State:
        """Return the subnets and security groups; empty ones disconnect the function."""
        vpc = self.config.vpc
        ids = {"SubnetIds": vpc.subnet_ids, "SecurityGroupIds": vpc.security_group_ids} if vpc else {}
        return {"VpcConfig": sorted_vpc_config(ids)}

    def service_permissions(self) -> list[Statement]:
        """Return the permissions to use a VPC, also while a kept version is in one: Lambda needs them to disconnect it."""
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

    def _find_vpc(self, subnet_ids: list[str], security_group_ids: list[str]) -> str:
        """Return the ID of the VPC that contains them. Raise DeployError if one does not exist, or is in another VPC."""
        ec2: Any = self.stage.client("ec2")
        subnets = ec2.describe_subnets(Filters=[{"Name": "subnet-id", "Values": subnet_ids}])["Subnets"]
        in_groups = [{"Name": "group-id", "Values": security_group_ids}]
        groups = ec2.describe_security_groups(Filters=in_groups)["SecurityGroups"]
        vpcs = {subnet["SubnetId"]: subnet["VpcId"] for subnet in subnets}
        vpcs |= {group["GroupId"]: group["VpcId"] for group in groups}
        for key, ids in (("subnet_ids", subnet_ids), ("security_group_ids", security_group_ids)):
            if missing := [resource_id for resource_id in ids if resource_id not in vpcs]:
                raise DeployError(
                    f"{missing[0]} does not exist in {self.config.region}.", f"Correct vpc.{key} in deploy.toml."
                )
        if len({*vpcs.values()}) > 1:
            raise DeployError(
                "The subnets and security groups belong to several VPCs.",
                "Use those of one VPC under [vpc] in deploy.toml.",
            )
        return str(vpcs[subnet_ids[0]])

    def _check_network(self) -> str:
        """Return how the function reaches the service that stores its secrets. Raise DeployError if it cannot.

        A function in a VPC has no internet access. Without such a route it times out when it starts.
        """
        if self.config.vpc is None:
            return "no VPC"
        ec2: Any = self.stage.client("ec2")
        service = f"com.amazonaws.{self.config.region}.{self.config.secrets_service}"
        vpc = self._find_vpc(self.config.vpc.subnet_ids, self.config.vpc.security_group_ids)
        in_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
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
            if not any(_leads_to_the_internet(route) for route in routes):
                raise DeployError(
                    f"No route leads from {subnet} to {service}. An internet gateway does not serve functions.",
                    "Add a route through a NAT gateway, or an interface endpoint for that service with private DNS.",
                )
        return "a gateway leads to AWS"
