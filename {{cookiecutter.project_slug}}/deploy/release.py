"""Releases: publishing a version, moving the alias `live` to it, and deleting old versions and images."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from deploy.errors import DeployError, error_code, missing_package_advice, suppress_errors
from deploy.image import list_images
from deploy.logs import CLOCK_DIFFERENCE_S, recent_errors
from deploy.resources.function import ALIAS, Function
from deploy.stage import Stage, run_concurrently
from deploy.state import State, differences

if TYPE_CHECKING:
    from deploy.stack import Stack

READY_STATES = ("Active", "Inactive")  # a version that was idle for weeks is Inactive; a call reactivates it
PUBLISH_TIMEOUT_S = 900  # INIT may run while a version is published
MIN_IMAGE_AGE = timedelta(hours=1)  # a newer image may belong to a deploy that is running elsewhere
CONCURRENT_DEPLOY_HINT = "Run ./deploy.sh status, then deploy again."


@dataclass(frozen=True)
class Live:
    """The version that the alias points to.

    `settings` are the properties of that version, `previous` is the version that was live before it, and `revision`
    identifies this state of the alias, so that a concurrent change is noticed. If somebody split the traffic,
    `weights` contains the other version and its share of the requests.
    """

    version: str
    settings: State = field(repr=False)
    previous: str | None
    revision: str
    weights: Mapping[str, float]

    @property
    def is_active(self) -> bool:
        """False if Lambda has to reactivate the version, because it was idle for weeks, or cannot run it."""
        return bool(self.settings.get("State") == "Active")

    def previous_of(self, version: str) -> str | None:
        """Return the version to record as the previous one when `version` replaces this one."""
        return self.version if self.version != version else self.previous


def read_live(function: Function) -> Live | None:
    """Return the live version, or None before the first release."""
    with suppress_errors("ResourceNotFoundException"):
        alias = function.stage.client("lambda").get_alias(FunctionName=function.name, Name=ALIAS)
        version, previous = alias["FunctionVersion"], re.search(r"previous=(\d+)", alias.get("Description", ""))
        settings = function.read_version(version) or {}
        return Live(version, settings, previous[1] if previous else None, alias["RevisionId"], _weights(alias))
    return None


def require_live(function: Function) -> Live:
    """Return the live version. Raise DeployError before the first release."""
    if live := read_live(function):
        return live
    config = function.stage.config
    raise DeployError(f"{config.name} has no release in stage {config.stage}.", "Deploy it: ./deploy.sh")


def publish(function: Function, settings: State) -> str:
    """Publish a version with these settings and wait until it can be invoked. Return its number.

    If nothing changed since the last version, Lambda returns that version's number. Raise DeployError if another deploy
    changed the function in the meantime, or if Lambda cannot start the version.
    """
    stage, client = function.stage, function.stage.client("lambda")
    latest = function.wait_until_updated()
    if differences(settings, latest):
        raise DeployError(
            "Another deploy changed the function in the meantime; this one stopped.", CONCURRENT_DEPLOY_HINT
        )
    started_s = time.time()
    version = client.publish_version(
        FunctionName=function.name,
        CodeSha256=latest["CodeSha256"],
        RevisionId=latest["RevisionId"],
        Description=_commit(stage.project),
    )["Version"]

    def is_ready() -> bool:
        current: Any = client.get_function_configuration(FunctionName=function.name, Qualifier=version)
        if current["State"] == "Failed":
            client.delete_function(FunctionName=function.name, Qualifier=version)  # or Lambda would return it again
            errors, reason = recent_errors(stage, started_s), current.get("StateReason", "it gave no reason")
            raise DeployError(
                f"Lambda could not start version {version}: {reason} {missing_package_advice(errors)}".rstrip(),
                "The live version did not change. Fix the cause (see ./deploy.sh logs --errors) and deploy again.",
                details=errors,
            )
        return current["State"] in READY_STATES and function.is_version_ready(current)

    stage.wait_until(is_ready, f"Version {version} was not ready", timeout_s=PUBLISH_TIMEOUT_S)
    return version


def discard(function: Function, version: str, started_s: float) -> None:
    """Delete a version that failed its smoke test, if it was published since this Unix time.

    Otherwise, such versions would take the places of those to which a rollback is possible. PublishVersion also returns
    an older version if nothing changed since, which is kept. Lambda does not delete a version that an alias uses.
    """
    published = function.read_version(version) or {}
    if datetime.fromisoformat(published["LastModified"]).timestamp() > started_s - CLOCK_DIFFERENCE_S:
        function.stage.client("lambda").delete_function(FunctionName=function.name, Qualifier=version)


def _commit(project: Path) -> str:
    """Return "commit 1a2b3c4", with "+changes" if files differ from it, or an empty string outside git."""

    def git(*args: str) -> str:
        try:
            return subprocess.run(["git", *args], cwd=project, capture_output=True, text=True).stdout.strip()
        except FileNotFoundError:
            return ""

    commit = git("rev-parse", "--short", "HEAD")
    return f"commit {commit}{'+changes' if git('status', '--porcelain') else ''}" if commit else ""


def move_alias(stage: Stage, version: str, *, previous: str | None, replacing: Live | None) -> None:
    """Point the alias to a version and record the previous one.

    Raise DeployError if the alias was changed since `replacing` was read.
    """
    client = stage.client("lambda")
    if replacing is None:
        client.create_alias(FunctionName=stage.name, Name=ALIAS, FunctionVersion=version)
        return
    try:
        client.update_alias(
            FunctionName=stage.name,
            Name=ALIAS,
            FunctionVersion=version,
            Description=f"previous={previous}" if previous else "",
            RoutingConfig={"AdditionalVersionWeights": {}},  # ends a split of the traffic
            RevisionId=replacing.revision,
        )
    except ClientError as error:
        if error_code(error) != "PreconditionFailedException":
            raise
        is_repeated = error.response["ResponseMetadata"].get("RetryAttempts")  # because a response was lost
        if is_repeated and client.get_alias(FunctionName=stage.name, Name=ALIAS)["FunctionVersion"] == version:
            return
        raise DeployError(
            "Another deploy moved the alias in the meantime; this one stopped.", CONCURRENT_DEPLOY_HINT
        ) from None


@contextmanager
def restore_on_error(stack: Stack) -> Iterator[None]:
    """If the block fails or is interrupted, undo what the release steps prepared for the version that was to go live.

    The live version may be that of another deploy, which moved the alias in the meantime.
    """
    try:
        yield
    except BaseException:
        with suppress(Exception):  # the first error is reported
            current = read_live(stack.function)
            for release_step in stack.release_steps:
                release_step.after_live(current.version if current else None)
        raise


def prune(function: Function, *, keep: Collection[str | None]) -> str:
    """Delete old versions and images. Return a summary.

    The versions in `keep`, the newest `keep_releases`, those that an alias uses, and their images are kept.
    """
    stage, name = function.stage, function.name
    published, images = run_concurrently(lambda: versions(stage), lambda: list_images(stage))
    surplus = [version for version in published[: -stage.config.keep_releases] if version not in keep]
    if surplus:
        aliased = _aliased_versions(stage)
        surplus = [version for version in surplus if version not in aliased]
    for version in surplus:
        stage.client("lambda").delete_function(FunctionName=name, Qualifier=version)
    unused = _unused_images(function, images, [version for version in published if version not in surplus])
    for start in range(0, len(unused), 100):  # the most that BatchDeleteImage accepts
        digests: list[Any] = [{"imageDigest": digest} for digest in unused[start : start + 100]]
        stage.client("ecr").batch_delete_image(repositoryName=name, imageIds=digests)
    counts = ((len(surplus), "version"), (len(unused), "image"))
    removed = [f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counts if count]
    return f"{' and '.join(removed)} removed" if removed else "nothing to remove"


def describe(version: State) -> str:
    """Return a description such as "version 3 · commit 1a2b3c4 · published 2026-01-02 03:04 UTC"."""
    published = version["LastModified"][:16].replace("T", " ")
    parts = [f"version {version['Version']}", version.get("Description", ""), f"published {published} UTC"]
    return " · ".join(part for part in parts if part)


def versions(stage: Stage) -> list[str]:
    """Return the numbers of all published versions of the service, oldest first."""
    return [*published_versions(stage, stage.name)]


def published_versions(stage: Stage, function_name: str) -> dict[str, Any]:
    """Return the configuration of each published version of a function by its number, oldest first."""
    items = stage.list_all("lambda", "list_versions_by_function", "Versions", FunctionName=function_name)
    published = {item["Version"]: item for item in items if item["Version"] != "$LATEST"}
    return dict(sorted(published.items(), key=lambda item: int(item[0])))


def _aliased_versions(stage: Stage) -> set[str]:
    used: set[str] = set()
    for alias in stage.list_all("lambda", "list_aliases", "Aliases", FunctionName=stage.name):
        used |= {alias["FunctionVersion"], *_weights(alias)}
    return used


def _weights(alias: Any) -> dict[str, float]:
    return dict(alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {}))


def _unused_images(function: Function, images: list[Any], kept_versions: list[str]) -> list[str]:
    if len(images) <= len(kept_versions):
        return []
    states = [function.read_version(version) for version in ("$LATEST", *kept_versions)]
    used = {state["ImageUri"].partition("@")[2] for state in states if state}
    cutoff = datetime.now(UTC) - MIN_IMAGE_AGE
    return [
        image["imageDigest"] for image in images if image["imageDigest"] not in used and image["imagePushedAt"] < cutoff
    ]
