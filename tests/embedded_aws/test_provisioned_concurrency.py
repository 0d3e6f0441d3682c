"""Does provisioned concurrency keep environments ready, fail and refuse as Lambda's does?"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from embedded_aws.lambda_.execution_environment import PROVISIONED
from tests.support.sample_function import NAME, SampleFunction, metric_total, raises_client_error

TELLS = """
import os, time
KIND = os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]

def handler(event, context):
    time.sleep(event.get("seconds", 0))
    return [KIND, os.getpid()]
"""
FAILS_INIT = "raise RuntimeError('no model')"


def put(sample: SampleFunction, version: str, executions: int) -> dict[str, Any]:
    answer: dict[str, Any] = sample.client.put_provisioned_concurrency_config(
        FunctionName=NAME, Qualifier=version, ProvisionedConcurrentExecutions=executions
    )
    return answer


def get(sample: SampleFunction, version: str) -> dict[str, Any]:
    answer: dict[str, Any] = sample.client.get_provisioned_concurrency_config(FunctionName=NAME, Qualifier=version)
    return answer


def test_environments_are_ready_before_requests_and_used_first(sample: SampleFunction) -> None:
    sample.create(TELLS, Timeout=10)
    version = sample.publish()
    assert sample.invoke(Qualifier=version).payload[0] == "on-demand"
    asked = put(sample, version, 2)
    assert (asked["Status"], asked["AvailableProvisionedConcurrentExecutions"]) == ("IN_PROGRESS", 0)
    sample.wait_until_ready()
    ready = get(sample, version)
    assert (ready["Status"], ready["AvailableProvisionedConcurrentExecutions"]) == ("READY", 2)
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: sample.invoke({"seconds": 0.3}, Qualifier=version), range(3)))
    assert sorted(answer.payload[0] for answer in answers) == ["on-demand", PROVISIONED, PROVISIONED]
    resource = f"{NAME}:{version}"
    assert metric_total(sample, "ProvisionedConcurrencyInvocations", FunctionName=NAME, Resource=resource) == 2
    assert metric_total(sample, "ProvisionedConcurrencySpilloverInvocations", FunctionName=NAME, Resource=resource) == 1


def test_the_first_report_tells_the_init_that_nobody_waited_for(sample: SampleFunction) -> None:
    sample.create(TELLS)
    version = sample.publish()
    put(sample, version, 1)
    metrics = sample.invoke(Qualifier=version).report["metrics"]
    assert metrics["initDurationMs"] > metrics["billedDurationMs"]
    assert "initDurationMs" not in sample.invoke(Qualifier=version).report["metrics"]


def test_more_and_fewer_and_none(sample: SampleFunction) -> None:
    sample.create(TELLS)
    version = sample.publish()

    def ready() -> list[int]:
        return sorted(e.pid for e in sample.aws.environments(NAME) if e.kind == PROVISIONED)

    put(sample, version, 1)
    first = ready()
    put(sample, version, 3)
    assert len(ready()) == 3
    assert first[0] in ready()
    put(sample, version, 2)
    assert len(ready()) == 2
    listed = sample.client.list_provisioned_concurrency_configs(FunctionName=NAME)["ProvisionedConcurrencyConfigs"]
    assert [one["FunctionArn"].rpartition(":")[2] for one in listed] == [version]
    sample.client.delete_provisioned_concurrency_config(FunctionName=NAME, Qualifier=version)
    assert ready() == []
    with raises_client_error("ProvisionedConcurrencyConfigNotFoundException"):
        get(sample, version)


def test_a_failing_init_is_told_without_a_reason(sample: SampleFunction) -> None:
    sample.create(FAILS_INIT)
    version = sample.publish()
    put(sample, version, 1)
    sample.wait_until_ready()
    found = get(sample, version)
    assert (found["Status"], found["StatusReason"]) == ("FAILED", "FUNCTION_ERROR_INIT_FAILURE")


def test_refusals(sample: SampleFunction) -> None:
    sample.create(TELLS)
    with raises_client_error("InvalidParameterValueException", "unpublished function versions"):
        put(sample, "$LATEST", 1)
    with raises_client_error("ResourceNotFoundException"):
        put(sample, "7", 1)
    version = str(sample.client.publish_version(FunctionName=NAME)["Version"])
    with raises_client_error("ResourceConflictException", "Pending"):
        put(sample, version, 1)
    sample.wait_until_ready()
    with raises_client_error("InvalidParameterValueException", "below its minimum value of [100]"):
        put(sample, version, 901)
    sample.client.put_function_concurrency(FunctionName=NAME, ReservedConcurrentExecutions=2)
    with raises_client_error(
        "InvalidParameterValueException", "should not be greater than the reservedConcurrentExecution"
    ):
        put(sample, version, 3)
    sample.client.update_function_configuration(FunctionName=NAME, SnapStart={"ApplyOn": "PublishedVersions"})
    sample.wait_until_ready()
    with raises_client_error("InvalidParameterValueException", "SnapStart"):
        put(sample, sample.publish(), 1)


@pytest.mark.parametrize("executions", [0, -1])
def test_at_least_one(sample: SampleFunction, executions: int) -> None:
    sample.create(TELLS)
    version = sample.publish()
    with pytest.raises(Exception, match=r"ProvisionedConcurrentExecutions|provisionedConcurrentExecutions"):
        put(sample, version, executions)
