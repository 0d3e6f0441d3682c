"""Test the command `cost`: it multiplies prices of AWS by typical, measured and requested workloads."""

import re

import pytest

from scripts.projects import TEMPLATE
from tests.support.deployed_stage import NAME, DeployedStage

README = TEMPLATE / "README.md"
MONTH_S = 30 * 24 * 3600


def row(output: str, label: str) -> list[float]:
    """Return the numbers in the line that begins with this label."""
    (line,) = [line for line in output.splitlines() if line.strip().startswith(label)]
    return [float(part) for part in line.split("  ") if part.strip().replace(".", "", 1).isdigit()]


def measured_requests(output: str) -> int:
    """Return the number of requests in the last 30 days."""
    (number,) = re.findall(r"^  ([\d,]+) × [\d,]+ ms at 512 MB, in the last 30 days ", output, re.MULTILINE)
    return int(number.replace(",", ""))


def test_typical_workloads_cost_what_the_price_list_says(stage: DeployedStage) -> None:
    stage.configure('architecture = "x86_64"')
    cost = stage.deploy("cost")
    assert cost.code == 0
    assert stage.mutations == []
    assert row(cost.out, "100,000 × 100 ms at 256 MB") == [0.06, 0.05, 0.11, 0.0]
    assert row(cost.out, "50,000 × 200 ms at 512 MB") == [0.09, 0.02, 0.12, 0.0]
    assert row(cost.out, "30,000 × 800 ms at 1,024 MB") == [0.41, 0.01, 0.42, 0.0]
    assert row(cost.out, "10,000 × 2,000 ms at 2,048 MB") == [0.67, 0.0, 0.67, 0.0]
    for alarm in ("errors", "5xx"):
        assert row(cost.out, f"alarm {NAME}-{alarm} (10 of an account are free)") == [0.1]
    table = [line.split(" | ") for line in README.read_text("utf-8").splitlines() if " ms at " in line]
    assert [[float(figure) for figure in figures[1:4]] for figures in table] == [
        [row(cost.out, workload.strip("| "))[column] for column in (0, 2, 3)] for workload, *_ in table
    ]
    assert cost.out.endswith("\n  Nothing was measured in the last 30 days.\n")


def test_requested_and_measured_workloads_are_shown(stage: DeployedStage) -> None:
    stage.release("old")
    before = measured_requests(stage.deploy("cost").out)
    for _ in range(3):
        stage.get()
    cost = stage.deploy("cost", "--requests", "100000000", "--duration", "20")
    assert measured_requests(cost.out) == before + 3
    lambda_, logs, total, with_free_tier = row(cost.out, "100,000,000 × 20 ms at 512 MB, with your numbers")
    assert lambda_ == pytest.approx(100 * 0.2 + 1e6 * 0.0000133334, abs=0.01)
    assert total == pytest.approx(lambda_ + logs, abs=0.02)
    assert with_free_tier == pytest.approx(total - 0.2 - 400_000 * 0.0000133334 - 2.5, abs=0.02)


@pytest.mark.answers(endpoint="http_api", secrets="secrets_manager", cold_starts="provisioned_concurrency")
def test_fixed_costs_include_every_resource_that_costs_without_requests(stage: DeployedStage) -> None:
    stage.configure(
        'secrets = ["API_KEY"]',
        "provisioned_concurrency = { executions = 2 }",
        'domain = { name = "api.example.com", hosted_zone = "example.com" }',
    )
    cost = stage.deploy("cost")
    assert row(cost.out, "the secret") == [0.4]
    assert row(cost.out, "the hosted zone example.com") == [0.5]
    ready = MONTH_S * 0.0000033334
    assert row(cost.out, "2 environments that are ready") == [pytest.approx(ready, abs=0.01)]
    assert row(cost.out, "total") == [pytest.approx(0.2 + 0.4 + 0.5 + ready, abs=0.01)]
    _, gateway, *_, with_free_tier = row(cost.out, "100,000 × 100 ms at 256 MB")
    assert gateway == 0.1
    # The duration with provisioned concurrency is never free.
    assert with_free_tier == pytest.approx(0.1 + 2500 * 0.0000077778, abs=0.01)


@pytest.mark.answers(cold_starts="snapstart")
def test_each_version_that_is_kept_has_a_snapshot(stage: DeployedStage) -> None:
    for image in ("old", "new"):
        stage.release(image)
    output = stage.deploy("cost").out
    assert f"  each cold start, which restores a snapshot: {0.5 * 0.0001397998:.5f}\n" in output
    assert row(output, "snapshots of 2 versions") == [pytest.approx(2 * 0.5 * MONTH_S * 0.0000015046, abs=0.01)]


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("0", "must be greater than or equal to 1"),
        ("-1", "must be greater than or equal to 1"),
        ("many", "must be a valid integer, unable to parse string as an integer"),
        ("1.5", "must be a valid integer, unable to parse string as an integer"),
    ],
)
def test_the_number_of_requests_must_be_a_positive_integer(stage: DeployedStage, number: str, reason: str) -> None:
    rejected = stage.deploy("cost", f"--requests={number}")
    assert rejected.code == 2
    assert rejected.err == f"Invalid value for '--requests': {reason}.\nSee ./deploy.sh cost --help\n"
