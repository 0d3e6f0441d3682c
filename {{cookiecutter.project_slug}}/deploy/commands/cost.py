"""./deploy.sh cost: show what the service costs a month."""

from __future__ import annotations

from typing import Annotated

import typer

from deploy.cost import (
    DAYS,
    PRICES,
    Workload,
    count_versions,
    fixed_costs,
    measure_workload,
    request_costs,
)
from deploy.options import DebugOption, StageOption, open_stage
from deploy.resource import Cost
from deploy.stack import Stack

app = typer.Typer()

TYPICAL = [
    Workload(100_000, 100, 256),
    Workload(50_000, 200, 512),
    Workload(30_000, 800, 1024),
    Workload(10_000, 2000, 2048),
]


@app.command("cost")
def cost_command(
    context: typer.Context,
    requests: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Requests a month (default: as measured).")
    ] = None,
    duration: Annotated[
        int | None, typer.Option(metavar="MS", min=1, help="Duration of a request in ms (default: as measured).")
    ] = None,
    stage_name: StageOption = None,
    debug: DebugOption = False,
) -> None:
    """Show what the service costs a month."""
    stage = open_stage(context)
    stack = Stack(stage)
    print(stage)
    print(f"US dollars a month, at the prices of us-east-1 on {PRICES['as_of']}, without tax and data transfer")
    print("\nFixed costs:")
    costs = fixed_costs(stack, versions=max(count_versions(stage), 1))
    for cost in [*costs, Cost("total", sum(cost.dollars for cost in costs))]:
        print(f"  {cost.label:50} {cost.dollars:8.2f}")
    headings = "".join(f"{heading:>13}" for heading in [*request_costs(stack, TYPICAL[0]), "total"])
    print(f"\n{'Costs of requests:':52}{headings}{'with free tier':>16}")
    for workload in TYPICAL:
        _print_workload(stack, workload)
    for component in stack.components:
        for cost in component.cold_start_costs(PRICES):
            print(f"  {cost.label}: {cost.dollars:.5f}")
    measured = measure_workload(stage)
    if requests or duration:
        chosen = (requests or measured.requests or 100_000, duration or measured.duration_ms or 100)
        _print_workload(stack, Workload(*chosen, measured.memory_mb), ", with your numbers")
    if measured.requests:
        _print_workload(stack, measured, f", in the last {DAYS} days")
    else:
        print(f"  Nothing was measured in the last {DAYS} days.")


def _print_workload(stack: Stack, workload: Workload, note: str = "") -> None:
    label = f"{workload.requests:,} × {workload.duration_ms:,.0f} ms at {workload.memory_mb:,} MB{note}"
    costs = request_costs(stack, workload)
    columns = "".join(f"{dollars:13.2f}" for dollars in [*costs.values(), sum(costs.values())])
    print(f"  {label:50}{columns}{sum(request_costs(stack, workload, free_tier=True).values()):16.2f}")
