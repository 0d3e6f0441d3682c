"""Lambda in all Regions. The state of a Region is created when it is first used."""

import threading
from collections.abc import Callable

from embedded_aws.lambda_.aliases import Aliases
from embedded_aws.lambda_.api import LambdaApi
from embedded_aws.lambda_.data_plane import DataPlane
from embedded_aws.lambda_.event_source_mappings import EventSourceMappings, StartPoller
from embedded_aws.lambda_.function_url_server import FunctionUrlServer
from embedded_aws.lambda_.function_urls import FunctionUrls
from embedded_aws.lambda_.functions import Functions
from embedded_aws.lambda_.invocations import Invocations
from embedded_aws.lambda_.permissions import Permissions
from embedded_aws.lambda_.provisioned_concurrency import ProvisionedConcurrency
from embedded_aws.lambda_.settings import Settings
from embedded_aws.lambda_.state import LambdaState
from embedded_aws.sqs.queues import Queues


class LambdaService:
    """The control planes and the function URLs of all Regions.

    `new_state` and `new_url_server` create the parts of one Region.
    """

    def __init__(
        self,
        new_state: Callable[[str], LambdaState],
        new_url_server: Callable[[LambdaState], FunctionUrlServer],
        data_plane: DataPlane,
        queues: Queues,
        start_poller: StartPoller,
    ) -> None:
        self._new_state = new_state
        self._new_url_server = new_url_server
        self._data_plane = data_plane
        self._queues = queues
        self._start_poller = start_poller
        self._apis: dict[str, LambdaApi] = {}
        self._url_servers: list[FunctionUrlServer] = []
        self._lock = threading.Lock()

    def api(self, region: str) -> LambdaApi:
        """Return the control plane of a Region."""
        with self._lock:
            if region not in self._apis:
                self._apis[region] = self._new_api(region)
            return self._apis[region]

    def state(self, region: str) -> LambdaState:
        """Return the functions and limits of a Region."""
        return self.api(region).state

    def invocations(self, region: str) -> Invocations:
        """Return the Invoke operation of a Region."""
        return Invocations(self.state(region), self._data_plane)

    def close(self) -> None:
        """Stop serving function URLs and polling queues."""
        for server in self._url_servers:
            server.close()
        for api in self._apis.values():
            for mapping in api.state.mappings.values():
                mapping.close()

    def _new_api(self, region: str) -> LambdaApi:
        state = self._new_state(region)
        url_server = self._new_url_server(state)
        self._url_servers.append(url_server)
        groups = (
            Functions(state, self._data_plane),
            Aliases(state),
            Permissions(state),
            Settings(state),
            FunctionUrls(state, url_server),
            ProvisionedConcurrency(state, self._data_plane),
            EventSourceMappings(state, self._queues, self._start_poller),
            Invocations(state, self._data_plane),
        )
        return LambdaApi(state, groups)
