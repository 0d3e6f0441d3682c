"""What most services do: a boto3 client, made and called at INIT."""

import os

import boto3


def read_secrets() -> dict[str, str]:
    path, names = os.environ["SECRETS_PATH"], os.environ["SECRET_NAMES"].split(",")
    answer = boto3.client("ssm").get_parameters(Names=[path + name for name in names], WithDecryption=True)
    return {found["Name"].removeprefix(path).lower(): found["Value"] for found in answer["Parameters"]}
