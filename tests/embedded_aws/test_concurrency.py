"""Test the limits of concurrent invocations: reserved concurrency and the limit of the account."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.sample_function import NAME, SampleFunction, raises_client_error

SLOW = "import os, time\n\ndef handler(event, context):\n    time.sleep(0.2)\n    return os.getpid()\n"


def test_reserved_concurrency_throttles_further_invocations(sample: SampleFunction) -> None:
    sample.create(SLOW)
    sample.client.put_function_concurrency(FunctionName=NAME, ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError) as error:
        sample.invoke()
    response: Any = error.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    sample.client.put_function_concurrency(FunctionName=NAME, ReservedConcurrentExecutions=1)

    def invoke(_: int) -> str:
        try:
            return str(sample.invoke().payload)
        except ClientError as error:
            return str(error.response["Error"]["Code"])

    with ThreadPoolExecutor(3) as pool:
        outcomes = list(pool.map(invoke, range(3)))
    assert outcomes.count("TooManyRequestsException") == 2


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
