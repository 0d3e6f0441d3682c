"""Base classes for the parts of the service. To add a part, write one file in `resources/` and list it in `stack.py`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from botocore.awsrequest import AWSRequest

from deploy.errors import DeployError
from deploy.iam import Statement
from deploy.stage import Stage
from deploy.state import State, tag_dict

if TYPE_CHECKING:
    from deploy.plan import Change
    from deploy.release import Live

Outputs = Mapping[str, str]  # values that other resources refer to, by name, such as {"endpoint.url": "https://…"}
Prices = Mapping[str, Any]  # the content of prices.toml


class Cost(NamedTuple):
    """A fixed cost in US dollars a month. `part` is the property of the resource that causes it, if only one does."""

    label: str
    dollars: float
    part: str = ""


class Check(NamedTuple):
    """A check that `doctor` runs: `run` returns what it found, or raises DeployError."""

    name: str
    run: Callable[[], str]


class Component:
    """A part of the service. Commands ask every component the same questions; the default answers are empty."""

    log_kb_per_request: ClassVar[float] = 0  # what a request adds to CloudWatch Logs

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.config = stage.config

    # What the running service gets

    def variables(self) -> dict[str, Any]:
        """Return environment variables for the service."""
        return {}

    def function_settings(self) -> State:
        """Return properties of the Lambda function, as in CreateFunction."""
        return {}

    def is_version_ready(self, settings: State) -> bool:
        """Return True if a published version with these settings can be invoked once it is active."""
        return True

    def service_permissions(self) -> list[Statement]:
        """Return the statements that the role of the service needs."""
        return []

    def check_secret(self, name: str, value: str) -> None:
        """Raise UsageError, without any part of the value, if the service cannot work with it."""

    # What those who deploy need

    def deploy_permissions(self) -> list[Statement]:
        """Return the statements that all calls of a deploy need, including `plan`, `status` and `rollback`."""
        return []

    def destroy_permissions(self) -> list[Statement]:
        """Return the additional statements that `destroy`, `secret` and `jobs retry` need, for the role for previews."""
        return []

    # What commands show

    def fixed_costs(self, prices: Prices, *, versions: int) -> list[Cost]:
        """Return what the component costs a month without a request, while `versions` versions are kept."""
        return []

    def cold_start_costs(self, prices: Prices) -> list[Cost]:
        """Return what a cold start costs in addition to its duration."""
        return []

    def adjust_prices(self, prices: Prices) -> Prices:
        """Return the prices that apply to requests of a service with this component."""
        return prices

    def request_costs(self, prices: Prices, requests: int, *, free_tier: bool) -> dict[str, float]:
        """Return US dollars a month by AWS service for requests, in addition to the costs of Lambda and the logs."""
        return {}

    def live_config(self, live: Live) -> dict[str, Any]:
        """Return the configuration keys that matter for the cost, as they are live."""
        return {}

    def checks(self) -> list[Check]:
        """Return the checks that `doctor` runs."""
        return []

    def status(self, live: Live) -> list[tuple[str, str]]:
        """Return the label and text of each row that `status` prints."""
        return []


class Phase(Enum):
    """When a deploy creates or changes a resource. It deletes resources at its end, once the public URL has answered."""

    BEFORE_PUSH = "before the image is pushed"
    BEFORE_RELEASE = "before a version is released; the code and settings of the live version do not change"
    AFTER_RELEASE = "once the alias points to the new version"
    AFTER_CHECK = "once the public URL has answered"
    NEVER = "by another command"


class Resource(Component, ABC):
    """A resource in AWS. States use the property names of AWS's APIs and contain only what this tool manages."""

    kind: ClassVar[str]
    phase: ClassVar[Phase] = Phase.BEFORE_RELEASE
    has_tags: ClassVar[bool] = False  # True if it implements add_tags and remove_tags, for `tags` in deploy.toml
    record: ClassVar[str] = ""  # the tag of the service's role that says that the resource exists, see `is_recorded`
    waiting_for: Sequence[str] = ()  # lines that say what has to happen elsewhere; set by create and update

    @property
    def name(self) -> str:
        """The name of the resource in AWS."""
        return self.stage.name

    @property
    def step_title(self) -> str:
        """The title of the step that creates or changes it, if it has one of its own."""
        return f"Creating {self.name}"

    @property
    def id(self) -> str:
        """Kind and name, which identify the resource in a plan."""
        return f"{self.kind} {self.name}"

    def is_used(self) -> bool:
        """Return False if a deploy does not have to read the resource, unless `is_recorded` returns True."""
        return True

    def is_recorded(self, tags: Mapping[str, str]) -> bool:
        """Return True if these tags of the service's role say that the resource was created, and may still exist.

        A resource of a feature that few services use has a `record`, so that the other services need no call for it.
        """
        return bool(self.record and self.record in tags)

    @abstractmethod
    def desired(self) -> State | None:
        """Return the desired properties, or None if the resource should not exist.

        Values that are not known before the deploy are references, see `state.Reference`.
        """

    @abstractmethod
    def read(self) -> State | None:
        """Return the current properties, with `tags` if it has any, or None if it does not exist."""

    @abstractmethod
    def create(self, desired: State) -> Outputs | None:
        """Create the resource with these properties. Return the outputs that this makes known."""

    @abstractmethod
    def update(self, changed: State) -> Outputs | None:
        """Change these properties. Return the outputs that this changes."""

    @abstractmethod
    def delete(self) -> None:
        """Delete the resource."""

    def validate(self, changed: State) -> None:
        """Raise DeployError, before anything is changed, if AWS would not accept these properties."""

    def validate_deletion(self) -> None:
        """Raise DeployError if the resource contains something that must not be lost. `destroy` does not ask."""

    def read_tags(self, state: State) -> State:
        """Return `tags` if `read` leaves them out, because they take calls of their own and are rarely needed."""
        return {}

    def add_tags(self, tags: Mapping[str, str]) -> None:
        """Add these tags to the existing resource, or change their values."""

    def remove_tags(self, keys: Sequence[str]) -> None:
        """Remove the tags with these keys from the existing resource."""

    def tag_permissions(self) -> list[Statement]:
        """Return the additional statements that changes of `tags` in deploy.toml need."""
        return []

    @property
    def recovery_note(self) -> str:
        """A note for the user if a deleted resource can be restored."""
        return ""

    def recoverable_until(self) -> datetime | None:
        """Return the time until which the deleted resource can be restored."""
        return None

    def can_be_purged(self) -> bool:
        """Return True if the resource, which may be deleted already, can be deleted for good."""
        return False

    def purge(self) -> None:
        """Delete the resource for good."""
        self.delete()

    def outputs(self, state: State | None) -> Outputs:
        """Return the values that other resources can refer to; `state` is what `read` returned."""
        return {}

    def check_owner(self, tags: Any) -> None:
        """Raise DeployError unless these tags say that this tool created the resource for this stage."""
        if not self.stage.tags.items() <= tag_dict(tags).items():
            raise DeployError(
                f"The {self.kind} {self.name} already exists, but this tool did not create it for this stage.",
                "Choose another name in deploy.toml or another --stage, or delete it.",
            )


class Endpoint(Resource):
    """The resource that gives the service its public URL. Its outputs contain `endpoint.url`, which ends in a slash."""

    phase = Phase.AFTER_RELEASE
    curl_options: str = ""

    @abstractmethod
    def is_propagating(self, status: int, body: str) -> bool:
        """Return True if AWS, not the service, sent this response, because a new URL is not known everywhere yet."""

    def sign(self, request: AWSRequest) -> None:
        """Sign a request to the URL, if it only accepts signed requests."""


class ReleaseStep(Component):
    """Something that a release does besides publishing a version and moving the alias."""

    title: ClassVar[str] = ""  # of its line in the progress of a deploy; without a title, it has none

    def before_publish(self) -> str:
        """Run before a version is published. Return the outcome. Raise DeployError to stop the release."""
        return ""

    def before_live(self, version: str, live_version: str | None) -> bool:
        """Prepare a version before it gets traffic, which `live_version` serves now. Return True if anything changed."""
        return False

    def before_rollback(self, version: str, live_version: str) -> None:
        """Prepare an older version before it gets the traffic that `live_version` serves now."""
        self.before_live(version, live_version)

    def after_live(self, version: str | None) -> None:
        """Clean up once this version serves all traffic, or serves it again. None means that no version is live."""

    def planned_changes(self, version: str) -> list[Change]:
        """Return the changes that would give the live version what deploy.toml says."""
        return []

    def resources(self) -> list[Resource]:
        """Return the resources that exist for versions, so that `destroy` deletes them."""
        return []

    def rollback_note(self, version: str) -> str:
        """Return a line for the user about what a rollback to this version does not undo."""
        return ""
