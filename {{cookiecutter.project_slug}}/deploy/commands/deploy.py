"""./deploy.sh: build, push, release and check. The live version serves all requests until the alias moves."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import NamedTuple

import typer

from deploy import image as images
from deploy.errors import DeployError, explain
from deploy.options import (
    DebugOption,
    ImageOption,
    RebuildOption,
    StageOption,
    open_stage,
)
from deploy.plan import UP_TO_DATE, Plan, apply, apply_deletions, make_plan
from deploy.progress import Progress, Step
from deploy.public_url import UrlCheck, check_url
from deploy.release import Live, discard, move_alias, prune, publish, read_live, restore_on_error
from deploy.resource import Endpoint, Phase
from deploy.smoke_test import ColdStart, smoke_test
from deploy.stack import Stack
from deploy.stage import Stage
from deploy.state import resolve

app = typer.Typer()


@app.command("deploy")
def deploy_command(
    context: typer.Context,
    image: ImageOption = None,
    rebuild: RebuildOption = False,
    stage_name: StageOption = None,
    debug: DebugOption = False,
) -> None:
    """Build, push, release and check the working tree. This is the default command."""
    deploy(open_stage(context), image, rebuild=rebuild)


def deploy(stage: Stage, image: str | None = None, *, rebuild: bool = False) -> None:
    """Deploy the working tree, or an image from ECR. Raise DeployError if the new version does not work."""
    print(stage)
    stack = Stack(stage)
    plan = make_plan(stack, image, rebuild=rebuild)
    values = dict(plan.values)
    before_publish = [release_step for release_step in stack.release_steps if release_step.title]
    after_check = [resource for resource in stack.in_phase(Phase.AFTER_CHECK) if plan.concerns(resource)]
    progress = Progress(6 + len(before_publish) + len(after_check))

    with progress.step("Building image") as step:
        if "image" in values:
            step.skip("unchanged" if image is None else "skipped: --image was given")
        else:
            note = images.build(stage, plan.image_tag, rebuild=rebuild)
            step.lines = [note] if note else []

    with progress.step("Pushing to ECR") as step:
        apply(plan, stack.in_phase(Phase.BEFORE_PUSH), values)
        if "image" in values:
            step.skip(f"{_short(values['image'])} exists")
        else:
            values["image"] = images.push(stage, plan.image_tag, values["repository.uri"])
            step.outcome = f"{_short(values['image'])} pushed"

    with progress.step("Preparing resources") as step:
        step.outcome = apply(plan, stack.in_phase(Phase.BEFORE_RELEASE), values)

    for release_step in before_publish:
        with progress.step(release_step.title) as step:
            if plan.new_version:
                step.outcome = release_step.before_publish()
            else:
                step.skip("nothing to do")

    with progress.step("Releasing") as step:
        release = _release(stack, plan, values, step)
        apply(plan, stack.in_phase(Phase.AFTER_RELEASE), values)

    with progress.step("Checking the URL") as step:
        step.skip("")
        try:
            check = check_url(stack.endpoint, values["endpoint.url"], is_new=plan.changes_resource(stack.endpoint))
        except Exception as error:
            raise _move_back(stack, plan.live, release.version, explain(error)) from error
        step.lines = _describe_check(stack.endpoint, values["endpoint.url"], check, release.cold_start)

    for resource in after_check:
        with progress.step(resource.step_title) as step:
            if resource.desired() is None:
                step.outcome = apply_deletions(plan, [resource])
            else:
                step.outcome = apply(plan, [resource], values)
            if resource.waiting_for:
                step.outcome, step.lines = "waiting", [*resource.waiting_for]

    with progress.step("Cleaning up") as step:
        for release_step in stack.release_steps:
            release_step.after_live(release.version)
        surplus = [resource for resource in stack.resources if resource not in after_check]
        deleted = apply_deletions(plan, surplus)
        removed = prune(stack.function, keep=(release.version, release.previous))
        step.skip(removed if deleted == UP_TO_DATE else f"{deleted}, {removed}")

    name, duration = stage.config.name, f"{progress.elapsed_s:.0f}s"
    changed = plan.changes or release.changed
    result = f"Deployed {name} in {duration}." if changed else f"Nothing to deploy: {name} is up to date ({duration})."
    print(f"{result}  {stack.public_url(values)}")
    for resource in after_check:
        if resource.waiting_for:
            print(f"{resource.name} is not ready yet. Do what is listed above, then run {stage.command} again.")


class Release(NamedTuple):
    """The version that is live now, the one before it, and the new version's cold start."""

    version: str
    previous: str | None
    cold_start: ColdStart | None
    changed: bool


def _release(stack: Stack, plan: Plan, values: dict[str, str], step: Step) -> Release:
    """Publish a version, test it, and move the alias to it, unless the live version is up to date."""
    live = plan.live
    if live and not plan.new_version:
        step.title = f"Releasing version {live.version}"
        step.skip("already live")
        if live.weights:
            move_alias(stack.stage, live.version, previous=live.previous, replacing=live)
            step.outcome = "gets all requests again"
        changed = [release_step.before_live(live.version, live.version) for release_step in stack.release_steps]
        if not live.is_active:
            smoke_test(stack.stage, live.version)  # reactivates a version that was idle for weeks
        return Release(live.version, live.previous, None, any(changed))
    started_s = time.time()
    version = publish(stack.function, resolve(plan.version_settings, values))
    step.title = f"Releasing version {version}"
    try:
        cold_start = smoke_test(stack.stage, version)
    except DeployError:
        with suppress(Exception):  # the first error is reported
            discard(stack.function, version, started_s)
        raise
    previous = live.previous_of(version) if live else None
    with restore_on_error(stack):
        for release_step in stack.release_steps:
            release_step.before_live(version, live.version if live else None)
        move_alias(stack.stage, version, previous=previous, replacing=live)
    step.outcome = "smoke test passed, live"
    return Release(version, previous, cold_start, changed=True)


def _move_back(stack: Stack, live: Live | None, version: str, error: DeployError) -> DeployError:
    """Make the previous version live again, unless there is none or somebody else deployed meanwhile.

    Return the error that made this necessary, with a sentence about the version that is live now.
    """
    if live is None or live.version == version:
        return error
    try:
        current = read_live(stack.function)
        if current and current.version == version:
            move_alias(stack.stage, live.version, previous=live.previous, replacing=current)
            error.message += f" Version {live.version} is live again."
            for release_step in stack.release_steps:
                release_step.after_live(live.version)
    except Exception as other:
        cause = explain(other)
        error.message += f" The deploy was not undone completely: {cause.message}"
        error.hint = cause.hint
    return error


def _short(image: str) -> str:
    return f"sha256:{image.rpartition('sha256:')[2][:4]}…"


def _describe_check(endpoint: Endpoint, url: str, check: UrlCheck, cold_start: ColdStart | None) -> list[str]:
    """Return the request, the response and the durations."""
    config = endpoint.stage.config
    durations = [f"warm: {check.warm_ms:,.0f} ms"]
    report = cold_start.report if cold_start else {}
    if cold_start and report.keys() & {"initDurationMs", "restoreDurationMs"}:  # else an environment existed already
        restore = f" (restore: {report['restoreDurationMs']:,.0f} ms)" if "restoreDurationMs" in report else ""
        durations.insert(0, f"cold start: {cold_start.duration_ms:,.0f} ms{restore}")
    if "maxMemoryUsedMB" in report:
        durations.append(f"memory: {report['maxMemoryUsedMB']} of {config.memory_mb} MB")
    request = f"$ curl -s {endpoint.curl_options}{url.rstrip('/')}{config.check_path}"
    return [request, check.body[:500], "  ·  ".join(durations)]
