"""SnapStart: Lambda takes a snapshot of each version when it is published, and restores it for each cold start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from deploy.errors import DeployError, error_code, suppress_errors
from deploy.invoke import invoke
from deploy.resource import Check, Component, Cost, Prices
from deploy.resources.function import ALIAS
from deploy.smoke_test import http_event
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
        return not _has_snapshot(settings) or settings["SnapStart"].get("OptimizationStatus") == "On"

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

    def checks(self) -> list[Check]:
        """Return the check of the live version's snapshot."""
        return [Check("snapshot", self._check_snapshot)]

    def _check_snapshot(self) -> str:
        client = self.stage.client("lambda")
        with suppress_errors("ResourceNotFoundException"):
            live = client.get_function_configuration(FunctionName=self.stage.name, Qualifier=ALIAS)
            if not _has_snapshot(live):
                return "the live version does not use one"
            if problem := self._problem():
                raise DeployError(f"The live version cannot be started from its snapshot: {problem}", self._hint)
            return f"version {live['Version']} can be started from it"
        return "no version is live yet"

    def _problem(self) -> str:
        """Call the live version. Return the reason if Lambda cannot start it, or an empty string.

        Lambda replaces snapshots when it changes the runtime, so a version can fail without a deploy
        (docs.aws.amazon.com/lambda/latest/api/API_Invoke.html, SnapStartRegenerationFailureException).
        """
        try:
            event = http_event(self.config.smoke_path, self.config.smoke_host)
            invoke(self.stage, f"{self.stage.name}:{ALIAS}", event)
        except ClientError as error:
            if error_code(error).startswith("SnapStart"):
                return error.response["Error"].get("Message") or error_code(error)
            raise
        return ""

    @property
    def _hint(self) -> str:
        return f"Publish a new version: {self.stage.command} --rebuild"

    def status(self, live: Live) -> list[tuple[str, str]]:
        """Return a row that says if the live version can be started from its snapshot."""
        if not _has_snapshot(live.settings):
            return []
        problem = self._problem()
        return [("snapshot", f"{problem} {self._hint}" if problem else "ready")]

    def live_config(self, live: Live) -> dict[str, Any]:
        """Return if the live version has a snapshot, which costs money."""
        return {"snapstart": _has_snapshot(live.settings)}


def _has_snapshot(settings: Mapping[str, Any]) -> bool:
    return bool(settings.get("SnapStart", {}).get("ApplyOn") == "PublishedVersions")
