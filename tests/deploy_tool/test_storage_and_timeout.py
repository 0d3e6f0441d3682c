"""Test `ephemeral_storage_mb` and `timeout_s` in deploy.toml: they are applied, limited and priced as AWS documents."""

import pytest

from tests.support.deployed_stage import NAME, DeployedStage

IN_TWO_COMBINATIONS = pytest.mark.parametrize(
    ("functions", "timeout_s"),
    [(1, 1_800), pytest.param(2, 30, marks=pytest.mark.answers(endpoint="http_api", migrations="alembic"))],
)
SNAPSTART = pytest.mark.answers(cold_starts="snapstart")
HTTP_API = pytest.mark.answers(endpoint="http_api")


def storage(stage: DeployedStage) -> list[int]:
    """Return the size of /tmp of each function."""
    functions = stage.aws.client("lambda").list_functions()["Functions"]
    return [function["EphemeralStorage"]["Size"] for function in functions]


@IN_TWO_COMBINATIONS
def test_storage_and_timeout_are_set_changed_and_removed(stage: DeployedStage, functions: int, timeout_s: int) -> None:
    stage.configure("ephemeral_storage_mb = 2048", f"timeout_s = {timeout_s}")
    assert stage.release("old").code == 0
    assert storage(stage) == [2048] * functions
    live = stage.aws.client("lambda").get_function_configuration(FunctionName=NAME, Qualifier="live")
    assert (live["EphemeralStorage"]["Size"], live["Timeout"]) == (2048, timeout_s)
    limits = f"limits     512 MB memory · 2,048 MB in /tmp · {timeout_s:,} s\n"
    assert limits in stage.deploy("status").out
    stage.release("old")
    assert stage.mutations == []

    stage.configure("ephemeral_storage_mb = 10240")
    plan = stage.deploy("plan", "--image", stage.images["old"])
    assert "    EphemeralStorage.Size: 2048 → 10240\n" in plan.out
    assert stage.release("old").code == 0
    assert storage(stage) == [10_240] * functions
    stage.project.edit("deploy.toml", "ephemeral_storage_mb = 10240", "# the default")
    assert stage.release("old").code == 0
    assert storage(stage) == [512] * functions


def test_a_stage_has_its_own_storage(stage: DeployedStage) -> None:
    stage.configure("ephemeral_storage_mb = 1024", "stages = { dev = { ephemeral_storage_mb = 600 } }")
    assert stage.deploy("--stage", "dev", "--image", stage.images["old"]).code == 0
    assert storage(stage) == [600]


def test_storage_above_512_mb_is_priced_by_the_second(stage: DeployedStage) -> None:
    def lambda_cost() -> float:
        cost = stage.deploy("cost", "--requests", "100000000", "--duration", "1000").out
        (row,) = [line for line in cost.splitlines() if "100,000,000 × 1,000 ms" in line]
        return float(row.split()[-4])

    stage.release("old")
    before = lambda_cost()
    stage.configure("ephemeral_storage_mb = 10240")
    assert lambda_cost() - before == pytest.approx(100_000_000 * 9.5 * 0.0000000309, abs=0.02)


def test_a_timeout_that_lambda_rejects_is_explained(stage: DeployedStage) -> None:
    """The maximum was 900 s until November 2026, and may still be in some accounts and Regions."""
    stage.release("old")
    stage.aws.lambda_state().account_timeout_s = 900
    stage.configure("timeout_s = 1800")
    run = stage.release("new")
    assert run.code == 1
    assert "Lambda did not accept timeout_s = 1800: " in run.err
    assert run.err.endswith("\nNot every account and Region allows more than 900: lower it in deploy.toml.\n")
    assert stage.get() == "old"


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("ephemeral_storage_mb = 511", "ephemeral_storage_mb: must be greater than or equal to 512; it is 511."),
        ("ephemeral_storage_mb = 10241", "ephemeral_storage_mb: must be less than or equal to 10240; it is 10241."),
        ("timeout_s = 1801", "timeout_s: must be less than or equal to 1800; it is 1801."),
        pytest.param("timeout_s = 31", "timeout_s: must be less than or equal to 30; it is 31.", marks=HTTP_API),
        pytest.param(
            "ephemeral_storage_mb = 1024",
            "ephemeral_storage_mb: must be 512 with SnapStart: lower it, or set snapstart = false.",
            marks=SNAPSTART,
        ),
    ],
)
def test_values_that_aws_would_reject_are_errors_in_deploy_toml(stage: DeployedStage, line: str, error: str) -> None:
    stage.configure(line)
    rejected = stage.deploy("plan")
    assert rejected.code == 2
    assert rejected.err.startswith(f"deploy.toml: {error}\n")


@SNAPSTART
def test_a_stage_without_snapstart_can_have_more_storage(stage: DeployedStage) -> None:
    stage.configure("ephemeral_storage_mb = 1024", "snapstart = false")
    assert stage.release("old").code == 0
    assert storage(stage) == [1024]
