"""./deploy.sh: from the working tree to a public URL. What is live stays live until the step that moves the alias."""

from __future__ import annotations

from pathlib import Path

from deploy import image as images
from deploy import resources
from deploy.aws import Aws
from deploy.check_url import Answer, check_url
from deploy.config import Service
from deploy.problem import Problem
from deploy.prune import prune
from deploy.release import Live, is_live, live, move_alias, publish
from deploy.resource import apply, compare, read_all
{% if cookiecutter.endpoint == 'http_api' %}
from deploy.resources.domain import Domain
{% endif %}
from deploy.resources.function import Function
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
from deploy.resources.provisioned_concurrency import keep_ready, release_all_but
{% endif %}
from deploy.resources.repository import Repository
from deploy.secrets import secrets_changed
from deploy.smoke import ColdStart, smoke_test
from deploy.terminal import Steps
{% if cookiecutter.migrations == 'alembic' %}
from deploy.verbs.migrate import migrate
{% endif %}


def run(service: Service, aws: Aws, project: Path, *, image: str | None, debug: bool) -> None:
    """Deploys the working tree, or the image given; raises Problem with what was live still live."""
    print(f"{service.name} · {service.stage} · {service.region}")
{% if cookiecutter.migrations == 'alembic' %}
    steps = Steps(7)
{% else %}
    steps = Steps(6)
{% endif %}
    repository, function = Repository(service, aws), Function(service, aws)
    secrets = resources.secrets_of(service, aws)
    before = resources.before_release(service, aws, repository, function, secrets)
    after = resources.after_release(service, aws)
    states = read_all([*before, *after])  # refuses a name that is not ours before anything is changed
{% if cookiecutter.endpoint == 'http_api' %}
    domain = Domain(service, aws)
    states[domain] = domain.read()  # after the API, whose tags remember it
    if service.domain or states[domain]:
        steps.total += 1
{% endif %}
    was = live(service, aws)
    if service.secrets:
        function.secrets_changed = secrets_changed(service, secrets.known())

    with steps.step("Building image") as step:
        tag = images.content_tag(project, service)
        local = f"{service.full_name}:{tag}"
        digest = None
        if image is not None:
            step.skip("skipped: --image is given")
        elif digest := images.digest_in_ecr(aws, service.full_name, tag):
            step.skip("unchanged")
        else:
            images.need_docker()
            images.build(project, service, local, debug=debug)

    with steps.step("Pushing to ECR") as step:
        if image is not None:
            function.image = images.resolve(aws, image)
            step.skip(f"{_short(function.image)} is there")
        else:
            apply(compare([repository], states))
            states[repository] = repository.read()
            if digest:
                step.skip(f"{_short(digest)} is there")
            else:
                digest = images.push(aws, local, service.full_name, f"{repository.uri()}:{tag}", debug=debug)
                step.outcome = f"{_short(digest)} pushed"
            function.image = f"{repository.uri()}@{digest}"

    with steps.step("Preparing resources") as step:
        changes = compare(before, states)
        step.outcome = apply(changes)

    unchanged = was is not None and is_live(function, was)
{% if cookiecutter.migrations == 'alembic' %}
    with steps.step("Migrating database") as step:
        if unchanged:  # a version goes live only after its migrations
            step.skip("nothing to do")
        else:
            step.outcome = str(migrate(service, aws))

{% endif %}
    cold_start = None
    with steps.step("Releasing") as step:
        if was and unchanged:
            now = was
            step.title = f"Releasing version {now.version}"
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
            keep_ready(service, aws, now.version, live=now.version)
{% endif %}
            step.skip("is live already")
        else:
            function.settle()  # an interrupted run may have left an update under way
            version = publish(service, aws, project)
            step.title = f"Releasing version {version}"
            cold_start = smoke_test(service, aws, version)
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
            keep_ready(service, aws, version, live=was.version if was else None)
{% endif %}
            now = move_alias(service, aws, version, previous=_fallback(was, version), now=was)
            step.outcome = "smoke test passed, live"
        changes += compare(after, states)
        apply(change for change in changes if change.resource in after)

    url = resources.public_url(service, aws)
    with steps.step("Checking the URL") as step:
        step.skip("")
        try:
{% if cookiecutter.endpoint == 'function_url' %}
            answer = check_url(service, aws, url)
{% else %}
            answer = check_url(service, aws, url, is_new=any(change.resource in after for change in changes))
{% endif %}
        except Problem as problem:
            current = live(service, aws)
            if was and current and was.version != now.version == current.version:  # and nobody released since
                move_alias(service, aws, was.version, previous=was.previous, now=current)
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
                release_all_but(service, aws, was.version)
{% endif %}
                problem.fix += f" (version {was.version} is live again)."
            raise
        step.below += _transcript(service, url, answer, cold_start)

{% if cookiecutter.endpoint == 'http_api' %}
    if service.domain or states[domain]:
        with steps.step(f"Connecting {service.domain.name}" if service.domain else f"Removing {domain.name}") as step:
            connecting = compare([domain], states)
            step.outcome = apply(connecting)
            if domain.waiting:
                step.outcome, step.below = "waiting", domain.waiting
            changes += connecting
    if service.domain and not domain.waiting:
        url = f"https://{service.domain.name}/"

{% endif %}
    with steps.step("Cleaning up") as step:
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
        release_all_but(service, aws, now.version)
{% endif %}
        step.skip(prune(service, aws, now))

    verb = "Deployed" if changes or now != was else "Nothing to deploy:"
    print(f"{verb} {service.name} in {steps.elapsed_s:.0f}s.  {url}")
{% if cookiecutter.endpoint == 'http_api' %}
    if domain.waiting:
        print("The domain waits for DNS, see above. When that is done, run ./deploy.sh again.")
{% endif %}


def _fallback(was: Live | None, version: str) -> str | None:
    """The version to record as the one to go back to."""
    if was is None:
        return None
    return was.version if was.version != version else was.previous


def _short(digest: str) -> str:
    return f"sha256:{digest.rpartition('sha256:')[2][:4]}…"


def _transcript(service: Service, url: str, answer: Answer, cold_start: ColdStart | None) -> list[str]:
    figures = [f"warm: {answer.warm_ms:,.0f} ms"]
    if cold_start:
{% if cookiecutter.cold_starts == 'snapstart' %}
        restore = f" (restore: {cold_start.restore_ms:,.0f} ms)" if cold_start.restore_ms else ""
        figures.insert(0, f"cold start: {cold_start.wall_ms:,.0f} ms{restore}")
{% else %}
        figures.insert(0, f"cold start: {cold_start.wall_ms:,.0f} ms")
{% endif %}
        if cold_start.memory_used_mb:
            figures.append(f"memory: {cold_start.memory_used_mb} of {service.memory_mb} MB")
{% if cookiecutter.endpoint == 'function_url' %}
    signed = " --aws-sigv4 …" if service.auth == "iam" else ""
    return [f"$ curl -s{signed} {url.rstrip('/')}{service.check_path}", answer.body[:500], "  ·  ".join(figures)]
{% else %}
    return [f"$ curl -s {url.rstrip('/')}{service.check_path}", answer.body[:500], "  ·  ".join(figures)]
{% endif %}
