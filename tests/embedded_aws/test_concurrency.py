"""Test the limits of concurrent invocations: reserved concurrency and the limit of the account."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.sample_function import NAME, SampleFunction, raises_client_error
from tests.support.sample_queue import wait_until

WAITS = """
import os, time

def handler(event, context):
    while not os.path.exists(event["gate"]):
        time.sleep(0.01)
    return os.getpid()
"""


def test_reserved_concurrency_throttles_further_invocations(sample: SampleFunction, tmp_path: Path) -> None:
    sample.create(WAITS)
    sample.client.put_function_concurrency(FunctionName=NAME, ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError) as error:
        sample.invoke()
    response: Any = error.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    sample.client.put_function_concurrency(FunctionName=NAME, ReservedConcurrentExecutions=1)

    gate = tmp_path / "gate"

    def invoke() -> str:
        try:
            return str(sample.invoke({"gate": str(gate)}).payload)
        except ClientError as error:
            return str(error.response["Error"]["Code"])

    with ThreadPoolExecutor(3) as pool:
        outcomes = [pool.submit(invoke) for _ in range(3)]
        try:
            wait_until(lambda: sum(outcome.done() for outcome in outcomes) == 2)
        finally:
            gate.touch()
    assert [outcome.result() for outcome in outcomes].count("TooManyRequestsException") == 2


def test_the_concurrency_limit_of_the_account_throttles_invocations(sample: SampleFunction) -> None:
    sample.create()
    sample.aws.lambda_state().account_concurrency = 0
    with raises_client_error("TooManyRequestsException", "Rate Exceeded."):
        sample.invoke()


def test_reserved_concurrency_is_taken_from_the_account_limit(sample: SampleFunction) -> None:
    sample.create()
    sample.client.put_function_concurrency(FunctionName=NAME, ReservedConcurrentExecutions=7)
    assert sample.client.get_function_concurrency(FunctionName=NAME)["ReservedConcurrentExecutions"] == 7
    limits = sample.client.get_account_settings()["AccountLimit"]
    assert (limits["ConcurrentExecutions"], limits["UnreservedConcurrentExecutions"]) == (1000, 993)
    with raises_client_error("InvalidParameterValueException", "below its minimum value of [100]"):
        sample.client.put_function_concurrency(FunctionName=NAME, ReservedConcurrentExecutions=901)
    sample.client.delete_function_concurrency(FunctionName=NAME)
    assert "ReservedConcurrentExecutions" not in sample.client.get_function_concurrency(FunctionName=NAME)
