"""./deploy.sh rollback: make the previous version live again, without a build."""

from __future__ import annotations

from typing import Annotated

import typer

from deploy.errors import DeployError
from deploy.image import archived_hint
from deploy.options import DebugOption, StageOption, open_stage
from deploy.public_url import check_url
from deploy.release import Live, describe, move_alias, require_live, restore_on_error, versions
from deploy.smoke_test import smoke_test
from deploy.stack import Stack

app = typer.Typer()


@app.command("rollback")
def rollback_command(
    context: typer.Context,
    version: Annotated[str | None, typer.Argument(help="Make this version live instead of the previous one.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Continue if the version fails its smoke test.")] = False,
    stage_name: StageOption = None,
    debug: DebugOption = False,
) -> None:
    """Make the previous version, or the given one, live again."""
    stage = open_stage(context)
    print(stage)
    stack = Stack(stage)
    live = require_live(stack.function)
    target = _choose_version(stack, live, version)
    if target == live.version and live.weights:
        move_alias(stage, target, previous=live.previous, replacing=live)
        print(f"Version {target} gets all requests again.")
    elif target == live.version:
        print(f"Version {target} is already live.")
    else:
        try:
            smoke_test(stage, target)
        except DeployError as error:
            if not force:
                error.hint = f"Version {live.version} is still live. Choose another version, or use --force."
                settings = stack.function.read_version(target)
                if settings and (hint := archived_hint(stage, settings["ImageUri"])):
                    error.hint = f"Version {live.version} is still live. {hint}"
                raise
            print(error.message)
        with restore_on_error(stack):
            for release_step in stack.release_steps:
                release_step.before_rollback(target, live.version)
            # The replaced version is not recorded as the previous one: it is probably broken.
            move_alias(stage, target, previous=None, replacing=live)
        undo = f"{stage.command} rollback {live.version}"
        print(f"Version {target} is live instead of {live.version}. To undo this: {undo}")
        for note in filter(None, (release_step.rollback_note(target) for release_step in stack.release_steps)):
            print(note)
    for release_step in stack.release_steps:
        release_step.after_live(target)
    url = stack.endpoint.outputs(stack.endpoint.read()).get("endpoint.url")
    if url:  # else the first deploy was interrupted before it created the URL
        print(f"{url} answers in {check_url(stack.endpoint, url, is_new=False).warm_ms:,.0f} ms.")


def _choose_version(stack: Stack, live: Live, requested: str | None) -> str:
    """Return the requested version, or the previous one. Raise DeployError, with a list, if it does not exist."""
    existing = versions(stack.stage)
    version = requested or live.previous
    if version in existing:
        return version
    others = [other for other in reversed(existing) if other != live.version]
    states = [stack.function.read_version(other) for other in others]
    raise DeployError(
        f"Version {version} does not exist." if version else "No previous version is recorded.",
        f"Choose one of those above: ./deploy.sh rollback {others[0]}" if others else "No other version exists.",
        details="\n".join(describe(state) for state in states if state),
    )
