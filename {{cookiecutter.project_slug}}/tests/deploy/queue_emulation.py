"""An attribute of SQS queues that moto 5.2 does not return."""

from collections.abc import Callable
from typing import Any


class QueueEmulation:
    """Completes moto's responses."""

    def __init__(self) -> None:
        self._redrive_policies: dict[str, str] = {}

    def call(self, operation: str, params: dict[str, Any], moto: Callable[[], Any]) -> Any:
        """Return the response to an operation of SQS. `moto` calls moto."""
        response = moto()
        url = params.get("QueueUrl") or response.get("QueueUrl", "")
        match operation:
            case "CreateQueue" | "SetQueueAttributes" if "RedriveAllowPolicy" in params["Attributes"]:
                self._redrive_policies[url] = params["Attributes"]["RedriveAllowPolicy"]
            case "GetQueueAttributes" if url in self._redrive_policies:
                response["Attributes"]["RedriveAllowPolicy"] = self._redrive_policies[url]
        return response
