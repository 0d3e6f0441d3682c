"""Test provisioned concurrency: ready environments, changes of their number, failures and refused requests."""

from typing import Any

import pytest

from embedded_aws.lambda_.execution_environment import PROVISIONED
from tests.support.sample_function import NAME, SampleFunction, metric_total, raises_client_error

RETURNS_KIND_AND_PID = """
import os, time
KIND = os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]

def handler(event, context):
    while "gate" in event and not os.path.exists(event["gate"]):
        time.sleep(0.01)
    return [KIND, os.getpid()]
"""
FAILS_INIT = "raise RuntimeError('no model')"


def put(sample: SampleFunction, version: str, executions: int) -> dict[str, Any]:
    response: dict[str, Any] = sample.client.put_provisioned_concurrency_config(
        FunctionName=NAME, Qualifier=version, ProvisionedConcurrentExecutions=executions
    )
    return response


def get(sample: SampleFunction, version: str) -> dict[str, Any]:
    response: dict[str, Any] = sample.client.get_provisioned_concurrency_config(FunctionName=NAME, Qualifier=version)
    return response


def test_environments_are_ready_before_requests_and_used_first(sample: SampleFunction) -> None:
    sample.create(RETURNS_KIND_AND_PID)
    version = sample.publish()
    assert sample.invoke(Qualifier=version).payload[0] == "on-demand"
    created = put(sample, version, 2)
    assert (created["Status"], created["AvailableProvisionedConcurrentExecutions"]) == ("IN_PROGRESS", 0)
    sample.wait_until_ready()
    ready = get(sample, version)
    assert (ready["Status"], ready["AvailableProvisionedConcurrentExecutions"]) == ("READY", 2)
    results = sample.invoke_concurrently(3, Qualifier=version)
    assert sorted(result.payload[0] for result in results) == ["on-demand", PROVISIONED, PROVISIONED]
    resource = f"{NAME}:{version}"
    assert metric_total(sample, "ProvisionedConcurrencyInvocations", FunctionName=NAME, Resource=resource) == 2
    assert metric_total(sample, "ProvisionedConcurrencySpilloverInvocations", FunctionName=NAME, Resource=resource) == 1


def test_the_first_report_includes_the_duration_of_init_without_billing_it(sample: SampleFunction) -> None:
    sample.create(RETURNS_KIND_AND_PID)
    version = sample.publish()
    put(sample, version, 1)
    metrics = sample.invoke(Qualifier=version).report["metrics"]
    assert metrics["initDurationMs"] > 0
    assert metrics["billedDurationMs"] == pytest.approx(int(metrics["durationMs"]) + 1, abs=1)
    assert "initDurationMs" not in sample.invoke(Qualifier=version).report["metrics"]


def test_the_number_of_ready_environments_can_be_changed(sample: SampleFunction) -> None:
    sample.create(RETURNS_KIND_AND_PID)
    version = sample.publish()

    def pids() -> list[int]:
        return sorted(e.pid for e in sample.aws.environments(NAME) if e.kind == PROVISIONED)

    put(sample, version, 1)
    (first,) = pids()
    put(sample, version, 3)
    assert len(pids()) == 3
    assert first in pids()
    put(sample, version, 2)
    assert len(pids()) == 2
    configs = sample.client.list_provisioned_concurrency_configs(FunctionName=NAME)["ProvisionedConcurrencyConfigs"]
    assert [config["FunctionArn"].rpartition(":")[2] for config in configs] == [version]
    sample.client.delete_provisioned_concurrency_config(FunctionName=NAME, Qualifier=version)
    assert pids() == []
    with raises_client_error("ProvisionedConcurrencyConfigNotFoundException"):
        get(sample, version)


def test_a_failing_init_is_reported_without_its_error(sample: SampleFunction) -> None:
    sample.create(FAILS_INIT)
    version = sample.publish()
    put(sample, version, 1)
    sample.wait_until_ready()
    config = get(sample, version)
    assert (config["Status"], config["StatusReason"]) == ("FAILED", "FUNCTION_ERROR_INIT_FAILURE")


def test_an_invalid_version_number_or_setting_is_refused(sample: SampleFunction) -> None:
    sample.create(RETURNS_KIND_AND_PID)
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
def test_less_than_one_environment_is_refused(sample: SampleFunction, executions: int) -> None:
    sample.create(RETURNS_KIND_AND_PID)
    version = sample.publish()
    with pytest.raises(Exception, match=r"ProvisionedConcurrentExecutions|provisionedConcurrentExecutions"):
        put(sample, version, executions)
