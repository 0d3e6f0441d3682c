"""What a month costs: as AWS's price list says, what stands still apart, with what was measured."""

import re

import pytest

from tests.baking import TEMPLATE
from tests.scene import Scene

README = TEMPLATE / "README.md"


def row(told: str, what: str) -> list[float]:
    """The figures of the line that begins so."""
    (line,) = [line for line in told.splitlines() if line.strip().startswith(what)]
    return [float(part) for part in line.split("  ") if part.strip().replace(".", "", 1).isdigit()]


def counted(told: str) -> int:
    """The requests of the last days."""
    return int(re.findall(r"^  ([\d,]+) × .* in 30 days", told, re.MULTILINE)[0])


def test_typical_workloads_cost_what_the_price_list_says(scene: Scene) -> None:
    scene.configure('architecture = "x86_64"')
    cost = scene.deploy("cost")
    assert cost.code == 0
    assert scene.mutations == []
    assert row(cost.out, "100,000 × 100 ms at 256 MB") == [0.06, 0.05, 0.11, 0.0]
    assert row(cost.out, "50,000 × 200 ms at 512 MB") == [0.09, 0.02, 0.12, 0.0]
    assert row(cost.out, "30,000 × 800 ms at 1,024 MB") == [0.41, 0.01, 0.42, 0.0]
    assert row(cost.out, "10,000 × 2,000 ms at 2,048 MB") == [0.67, 0.0, 0.67, 0.0]
    assert row(cost.out, "2 alarms") == [0.2]
    table = [line.split(" | ") for line in README.read_text("utf-8").splitlines() if " ms at " in line]
    assert [[float(figure) for figure in figures[1:4]] for figures in table] == [
        [row(cost.out, workload.strip("| "))[column] for column in (0, 2, 3)] for workload, *_ in table
    ]
    assert "nothing was measured" in cost.out


def test_what_is_asked_for_and_what_was_measured(scene: Scene) -> None:
    scene.release("old")
    before = counted(scene.deploy("cost").out)
    for _ in range(3):
        scene.answer()
    cost = scene.deploy("cost", "--requests", "100000000", "--duration", "20")
    assert counted(cost.out) == before + 3
    lambda_, logs, together, free = row(cost.out, "100,000,000 × 20 ms at 512 MB, as asked")
    assert lambda_ == pytest.approx(100 * 0.2 + 1e6 * 0.0000133334, abs=0.01)
    assert together == pytest.approx(lambda_ + logs, abs=0.02)
    assert free == pytest.approx(together - 0.2 - 400_000 * 0.0000133334 - 2.5, abs=0.02)


@pytest.mark.answers(endpoint="http_api", secrets="secrets_manager", cold_starts="provisioned_concurrency")
def test_what_stands_still_is_paid_for_too(scene: Scene) -> None:
    scene.configure(
        'secrets = ["API_KEY"]',
        "provisioned_concurrency = { executions = 2 }",
        'domain = { name = "api.example.com", hosted_zone = "example.com" }',
    )
    cost = scene.deploy("cost")
    assert row(cost.out, "the secret") == [0.4]
    assert row(cost.out, "the hosted zone example.com") == [0.5]
    ready = 30 * 24 * 3600 * 0.0000033334
    assert row(cost.out, "2 environments that are ready") == [pytest.approx(ready, abs=0.01)]
    assert row(cost.out, "together") == [pytest.approx(0.2 + 0.4 + 0.5 + ready, abs=0.01)]
    _, gateway, *_, free = row(cost.out, "100,000 × 100 ms at 256 MB")
    assert gateway == 0.1
    assert free == pytest.approx(0.1 + 2500 * 0.0000077778, abs=0.01)  # provisioned duration is never free


@pytest.mark.answers(cold_starts="snapstart")
def test_each_version_that_is_kept_has_a_snapshot(scene: Scene) -> None:
    for image in ("old", "new"):
        scene.release(image)
    kept = 2 * 0.5 * 30 * 24 * 3600 * 0.0000015046
    told = scene.deploy("cost").out
    assert f"restores a snapshot: {0.5 * 0.0001397998:.5f}\n" in told
    assert row(told, "snapshots of the versions that are kept: 2") == [pytest.approx(kept, abs=0.01)]


@pytest.mark.parametrize("number", ["0", "-1", "many", "1.5"])
def test_a_number_that_is_none(scene: Scene, number: str) -> None:
    refused = scene.deploy("cost", f"--requests={number}")
    assert refused.code == 2
    assert f"{number!r} is not a whole number above 0" in refused.err
