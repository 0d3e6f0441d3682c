"""SnapStart: Lambda takes a snapshot of each version when it is published, and restores it for each cold start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deploy.resource import Component, Cost, Prices
from deploy.state import State

if TYPE_CHECKING:
    from deploy.release import Live

MONTH_S = 30 * 24 * 3600


class SnapStart(Component):
    """SnapStart for published versions."""

    def function_settings(self) -> State:
        """Enable it for published versions, or disable it."""
        return {"SnapStart": {"ApplyOn": "PublishedVersions" if self.config.snapstart else "None"}}

    def is_version_ready(self, settings: State) -> bool:
        """Return True once the snapshot exists, which takes some minutes."""
        snapstart = settings.get("SnapStart", {})
        return bool(snapstart.get("ApplyOn") != "PublishedVersions" or snapstart.get("OptimizationStatus") == "On")

    def fixed_costs(self, prices: Prices, *, versions: int) -> list[Cost]:
        """AWS charges for the snapshot of each version that is kept."""
        if not self.config.snapstart:
            return []
        price = prices["snapstart"]["cached_gb_s"]
        dollars = versions * self.config.memory_mb / 1024 * MONTH_S * price
        return [Cost(f"snapshots of {versions} versions", dollars)]

    def cold_start_costs(self, prices: Prices) -> list[Cost]:
        """AWS charges for each restore."""
        if not self.config.snapstart:
            return []
        return [
            Cost(
                "each cold start, which restores a snapshot",
                self.config.memory_mb / 1024 * prices["snapstart"]["restored_gb"],
            )
        ]

    def live_config(self, live: Live) -> dict[str, Any]:
        """Whether the live version has a snapshot."""
        return {"snapstart": live.settings.get("SnapStart", {}).get("ApplyOn") == "PublishedVersions"}
