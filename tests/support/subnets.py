"""Subnets and security groups of the embedded AWS."""

from typing import Any


def make_subnet(ec2: Any, block: str = "10.0.0.0/24") -> tuple[str, str]:
    """Create a subnet without a gateway in a shared VPC. Return the IDs of the VPC and the subnet.

    `ec2` is a boto3 client.
    """
    network = "10.0.0.0/16"
    existing = ec2.describe_vpcs(Filters=[{"Name": "cidr", "Values": [network]}])["Vpcs"]
    vpc = existing[0]["VpcId"] if existing else ec2.create_vpc(CidrBlock=network)["Vpc"]["VpcId"]
    return vpc, ec2.create_subnet(VpcId=vpc, CidrBlock=block)["Subnet"]["SubnetId"]


def default_security_group(ec2: Any, vpc: str) -> str:
    """Return the ID of the security group that each VPC has. `ec2` is a boto3 client."""
    groups = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["SecurityGroups"]
    return str(groups[0]["GroupId"])
