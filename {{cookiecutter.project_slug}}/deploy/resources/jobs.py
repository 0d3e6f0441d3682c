"""The release of the jobs function: it changes its version together with the service."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from deploy.config import visibility_timeout_s
from deploy.errors import DeployError, missing_package_advice, suppress_errors
from deploy.plan import Change
from deploy.release import publish, published_versions
from deploy.resource import ReleaseStep
from deploy.resources.function import ALIAS, Function, version_settings
from deploy.resources.job_queue import JobQueue
from deploy.resources.jobs_function import JobsFunction
from deploy.smoke_test import HINT, call_version
from deploy.stage import Stage
from deploy.state import Difference, State, differences


class Jobs(ReleaseStep):
    """Publish a version of the jobs function with each release, and move its alias with the one of the service.

    A version of the jobs function belongs to the versions of the service that have the same image and variables.
    """

    def __init__(self, stage: Stage, service: Function, function: JobsFunction, queue: JobQueue) -> None:
        super().__init__(stage)
        self.service = service
        self.function = function
        self.queue = queue

    def before_live(self, version: str, live_version: str | None) -> bool:
        """Publish and check a version of the jobs function, and move its alias to it, unless it is up to date."""
        if not self.config.jobs:
            return False
        current, settings = self._live_version(), self._desired_settings(version)
        if current and not differences(settings, self.function.read_version(current) or {}):
            if self.config.jobs.schedule:  # which may be new
                self._check(current)
            return False
        published = publish(self.function, settings)
        self._check(published)
        self._move_alias(published, is_new=current is None)
        return True

    def before_rollback(self, version: str, live_version: str) -> None:
        self._follow(version)

    def after_live(self, version: str | None) -> None:
        """Move the alias to the version of the jobs function that belongs to this one, and delete old versions."""
        if version:
            self._follow(version)

    def rollback_note(self, version: str) -> str:
        """Return a warning if the version queues jobs, but deploy.toml does not contain [jobs] any more."""
        variables = (self.service.read_version(version) or {}).get("Environment", {}).get("Variables", {})
        if self.config.jobs or "JOBS_QUEUE_URL" not in variables:
            return ""
        return f"Version {version} cannot queue its jobs, because [jobs] was removed: restore it in deploy.toml, and deploy."

    def planned_changes(self, version: str) -> list[Change]:
        if not self.config.jobs:
            return []
        current = self._live_version()
        state = self.function.read_version(current) if current else None
        if state and not differences(self._desired_settings(version), state):
            return []
        field = Difference(current, "a new version")
        name = f"{self.function.name}:{ALIAS}"
        return [Change("update" if current else "create", "alias", name, {"FunctionVersion": field})]

    def _live_version(self) -> str | None:
        """Return the live version of the jobs function, or None before the first release with jobs."""
        with suppress_errors("ResourceNotFoundException"):
            alias = self.stage.client("lambda").get_alias(FunctionName=self.function.name, Name=ALIAS)
            return alias["FunctionVersion"]
        return None

    def _desired_settings(self, version: str) -> State:
        """Return the properties of the jobs function for a version of the service, with its image and variables."""
        service = self.service.read_version(version) or {}
        shared = {key: service.get(key) for key in ("ImageUri", "Environment")}
        return version_settings(self.function.settings()) | shared

    def _move_alias(self, version: str, *, is_new: bool) -> None:
        client = self.stage.client("lambda")
        change: Any = client.create_alias if is_new else client.update_alias
        change(FunctionName=self.function.name, Name=ALIAS, FunctionVersion=version)

    def _check(self, version: str) -> None:
        """Raise DeployError if the version cannot start, or does not know a job that is scheduled."""
        jobs = self.config.jobs
        if not jobs:
            return
        failed = f"Version {version} of {self.function.name} failed its check:"
        event = {"check": [*jobs.schedule]}
        result = call_version(self.stage, f"{self.function.name}:{version}", event, failed)
        if result.error:
            advice = missing_package_advice(result.error)
            reason = f"{result.error.splitlines()[0].rstrip('. ')}. {advice}" if advice else result.error
            raise DeployError(f"{failed} {reason}", HINT, details=result.log_text())
        if unknown := result.response["unknown"]:
            job, known = unknown[0], ", ".join(result.response["jobs"]) or "none"
            raise DeployError(
                f"{jobs.module} does not contain the job {job}, which deploy.toml schedules. Its jobs: {known}.",
                f"No traffic was moved. Add the job, or remove [jobs.schedule.{job}] from deploy.toml.",
            )
        if need_arguments := result.response["need_arguments"]:
            job = need_arguments[0]
            raise DeployError(
                f"The job {job}, which deploy.toml schedules, has parameters without default values.",
                f"No traffic was moved. Give each parameter of {job} in {jobs.module} a default value.",
            )

    def _follow(self, version: str) -> None:
        """Point the alias to the newest version of the jobs function that belongs to this version of the service.

        If there is none, for example because the version is older than [jobs], the alias does not change. Delete versions
        that belong to no version of the service, and those that a newer one replaces.
        """
        if not self.config.jobs:
            return
        with suppress_errors("ResourceNotFoundException"):  # if [jobs] was never deployed
            current = self._live_version()  # before the versions are listed, so that the list contains it
            published = published_versions(self.stage, self.function.name)
            of_service = published_versions(self.stage, self.service.name)
            services = {number: _identity(config) for number, config in of_service.items()}
            newest = {_identity(config): number for number, config in published.items()}  # the last of each
            target = newest.get(services.get(version, ""))
            if target and current and _identity(published[current]) != services[version]:
                self._allow_timeout(published[target]["Timeout"])
                self._move_alias(target, is_new=False)
                current = target
            needed = {current, *(number for identity, number in newest.items() if identity in services.values())}
            for number in published:
                if number not in needed:
                    self.stage.client("lambda").delete_function(FunctionName=self.function.name, Qualifier=number)

    def _allow_timeout(self, timeout_s: int) -> None:
        """Make the visibility timeout of the queue longer, if a version of the function with this timeout needs it."""
        needed_s = visibility_timeout_s(timeout_s)
        if self.queue.visibility_timeout_s() < needed_s:
            self.queue.update({"VisibilityTimeout": needed_s})


def _identity(config: Mapping[str, Any]) -> str:
    """Return the digest of the image and the variables of a version as text."""
    variables = config.get("Environment", {}).get("Variables", {})
    return json.dumps([config["CodeSha256"], variables], sort_keys=True)
