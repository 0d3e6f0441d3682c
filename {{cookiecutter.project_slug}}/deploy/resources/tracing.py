"""AWS X-Ray: Lambda records traces of requests, if deploy.toml contains `tracing = true`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deploy.iam import Statement, allow
from deploy.resource import Component, Prices
from deploy.state import State

if TYPE_CHECKING:
    from deploy.release import Live

# Lambda traces the first request in each second, and 5 % of the others
# (docs.aws.amazon.com/lambda/latest/dg/services-xray.html).
SAMPLING_RATE = 0.05
MONTH_S = 30 * 24 * 3600


class Tracing(Component):
    """Active tracing of the function."""

    def function_settings(self) -> State:
        return {"TracingConfig": {"Mode": "Active" if self.config.tracing else "PassThrough"}}

    def service_permissions(self) -> list[Statement]:
        """X-Ray does not support narrower resources for these actions. Lambda requires them for active tracing."""
        return [allow("xray", "PutTelemetryRecords PutTraceSegments", "*")] if self.config.tracing else []

    def request_costs(self, prices: Prices, requests: int, *, free_tier: bool) -> dict[str, float]:
        """Return the cost if the requests are evenly distributed, so that most seconds have a first one."""
        if not self.config.tracing:
            return {}
        traced = min(requests, MONTH_S + SAMPLING_RATE * max(requests - MONTH_S, 0))
        billed = max(traced - free_tier * prices["xray"]["free_traces"], 0)
        return {"X-Ray": billed / 1e6 * prices["xray"]["million_traces"]}

    def live_config(self, live: Live) -> dict[str, Any]:
        """Return `tracing` as it is live."""
        return {"tracing": live.settings.get("TracingConfig", {}).get("Mode") == "Active"}
