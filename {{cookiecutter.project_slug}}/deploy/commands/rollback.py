"""./deploy.sh rollback: make the release before this one live again, in seconds and without a build."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from deploy.aws import Aws
from deploy.check import check_url, smoke_test
from deploy.config import Service
from deploy.problem import Problem
from deploy.release import describe, live, move_alias, versions
from deploy.resources import Stack
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
from deploy.resources.provisioned_concurrency import keep_ready, release_all_but
{% endif %}


def arguments(parser: ArgumentParser, common: ArgumentParser) -> None:
    parser.add_argument("version", nargs="?", help="that one instead of the release before this one")
    parser.add_argument("--force", action="store_true", help="also when it fails its smoke test")


def run(service: Service, aws: Aws, given: Namespace) -> None:
    """Goes to the recorded release, or to the version named; raises Problem when that one does not work."""
    print(f"{service.name} · {service.stage} · {service.region}")
    stack = Stack(service, aws)
    now = live(stack.function)
    if now is None:
        raise Problem(f"{service.name} has no release in stage {service.stage}.", "Deploy it: ./deploy.sh")
    kept = versions(service, aws)
    version = given.version or now.previous
    if version not in kept:
        told = f"There is no version {version}." if version else "No release before this one is recorded."
        others = [one for one in reversed(kept) if one != now.version]
        raise Problem(
            told,
            f"Name one of those above: ./deploy.sh rollback {others[0]}" if others else "No other is kept.",
            details="\n".join(describe(held) for one in others if (held := stack.function.read_version(one))),
        )
    if version == now.version:
        print(f"Version {version} is live already.")
    else:
        try:
            smoke_test(service, aws, version)
        except Problem as problem:
            if not given.force:
                problem.fix = f"Version {now.version} still is live. Name another version, or go there with --force."
                raise
            print(problem.what)
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
        keep_ready(service, aws, version, live=now.version)
{% endif %}
        # Nothing to go back to is recorded: what was live until now is hardly it.
        move_alias(service, aws, version, previous=None, now=now)
        undo = f"{service.command} rollback {now.version}"
        print(f"Version {version} is live instead of {now.version}. To undo it: {undo}")
{% if cookiecutter.migrations == 'alembic' %}
        print(f"The database stays as it is; see {service.command} migrate downgrade.")
{% endif %}
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
    release_all_but(service, aws, version)
{% endif %}
    url = stack.endpoint.url()
    _, warm_ms = check_url(service, aws, url, is_new=False)
    print(f"{url} answers in {warm_ms:,.0f} ms.")
