"""A boto3 session that ignores the user's profiles and configuration files."""

import os
from functools import cache

import boto3
import botocore.session
from botocore.exceptions import UnknownRegionError


@cache
def partition_of(region: str) -> str:
    """Return the partition of a Region, or "aws" if it is unknown."""
    try:
        return session().get_partition_for_region(region)
    except UnknownRegionError:
        return "aws"


@cache
def session() -> boto3.session.Session:
    """Return the session that all clients share. It caches the service models, which take up to 0.1 s to read."""
    no_profile = {"profile": (None, None, None, None)}
    no_files = dict.fromkeys(("config_file", "credentials_file"), (None, None, os.devnull, None))
    return boto3.session.Session(botocore_session=botocore.session.Session(session_vars=no_profile | no_files))
