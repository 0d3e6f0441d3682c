"""./deploy.sh deploy: build, push, release and check (the default).

What is live stays live until the step that moves the alias.
"""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, Namespace

from deploy import image as images
from deploy.aws import Aws, at_once
from deploy.check import ColdStart, check_url, smoke_test
from deploy.config import Service
from deploy.problem import Problem
from deploy.release import live, move_alias, prune, publish
from deploy.resource import apply, compare
from deploy.resources import Stack
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
from deploy.resources.provisioned_concurrency import keep_ready, release_all_but
{% endif %}
from deploy.terminal import Step, Steps
{% if cookiecutter.migrations == 'alembic' %}
from deploy.verbs.migrate import migrate
{% endif %}


def arguments(parser: ArgumentParser, common: ArgumentParser) -> None:
    parser.add_argument(
        "--image", metavar="URI", default=SUPPRESS, help="deploy this image from ECR instead of building one"
    )


def run(service: Service, aws: Aws, given: Namespace) -> None:
    """Deploys the working tree, or the image given; raises Problem with what was live still live."""
    print(f"{service.name} · {service.stage} · {service.region}")
{% if cookiecutter.migrations == 'alembic' %}
    stack, steps = Stack(service, aws), Steps(7)
{% else %}
    stack, steps = Stack(service, aws), Steps(6)
{% endif %}
    function, endpoint = stack.function, stack.endpoint
    tag = images.content_tag(given.project, service)
    # Refuses a name that is not ours before anything is changed.
    states, (was, found) = at_once(
        stack.read, lambda: at_once(lambda: live(function), lambda: images.find(aws, service, tag, given.image))
    )
{% if cookiecutter.endpoint == 'http_api' %}
    domain = stack.domain
    steps.total += bool(service.domain or states[domain])
{% endif %}

    with steps.step("Building image") as step:
        if given.image is not None:
            step.skip("skipped: --image is given")
        elif found:
            step.skip("unchanged")
        else:
            images.build(given.project, service, tag, debug=given.debug)

    with steps.step("Pushing to ECR") as step:
        if found:
            function.image = found
            step.skip(f"{_short(found)} is there")
        else:
            apply(compare([stack.repository], states))
            states[stack.repository] = made = stack.repository.read() or {}
            function.image = images.push(aws, service, tag, made["repositoryUri"], debug=given.debug)
            step.outcome = f"{_short(function.image)} pushed"

    with steps.step("Preparing resources") as step:
        changes = compare(stack.before, states)
        step.outcome = apply(changes)

    now = was if was and was.is_up_to_date(function) else None
{% if cookiecutter.migrations == 'alembic' %}
    with steps.step("Migrating database") as step:
        if now:  # a version goes live only after its migrations
            step.skip("nothing to do")
        else:
            step.outcome = str(migrate(service, aws))

{% endif %}
    cold_start = None
    with steps.step("Releasing") as step:
        if now:
            version, previous = now.version, now.previous
            step.title = f"Releasing version {version}"
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
            changes += keep_ready(service, aws, version, live=version)
{% endif %}
            if now.holds["State"] == "Inactive":
                smoke_test(service, aws, version)  # wakes it up: its first request would be refused
            step.skip("is live already")
        else:
            version = publish(service, aws, function, given.project)
            step.title = f"Releasing version {version}"
            cold_start = smoke_test(service, aws, version)
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
            keep_ready(service, aws, version, live=was.version if was else None)
{% endif %}
            previous = None if was is None else was.version if was.version != version else was.previous
            move_alias(service, aws, version, previous=previous, now=was)
            step.outcome = "smoke test passed, live"
        connecting = compare(stack.after, states)
        apply(connecting)

    with steps.step("Checking the URL") as step:
        step.skip("")
        url = endpoint.url()
        try:
            answer, warm_ms = check_url(service, aws, url, is_new=bool(connecting))
        except Problem as problem:
            current = live(function)
            if was and current and was.version != version == current.version:  # and nobody released since
                move_alias(service, aws, was.version, previous=was.previous, now=current)
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
                release_all_but(service, aws, was.version)
{% endif %}
                problem.fix += f" (version {was.version} is live again)."
            raise
        _show(step, service, url, answer, warm_ms, cold_start)

{% if cookiecutter.endpoint == 'http_api' %}
    if service.domain or states[domain]:
        with steps.step(f"Connecting {service.domain.name}" if service.domain else f"Removing {domain.name}") as step:
            connecting += (named := compare([domain], states))
            step.outcome = apply(named)
            if domain.waiting:
                step.outcome, step.below = "waiting", domain.waiting
    if service.domain and not domain.waiting:
        url = f"https://{service.domain.name}/"

{% endif %}
    with steps.step("Cleaning up") as step:
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
        release_all_but(service, aws, version)
{% endif %}
        step.skip(prune(service, aws, keep=(version, previous)))

    verb = "Deployed" if changes or connecting or not now else "Nothing to deploy:"
    print(f"{verb} {service.name} in {steps.elapsed_s:.0f}s.  {url}")
{% if cookiecutter.endpoint == 'http_api' %}
    if domain.waiting:
        print("The domain waits for DNS, see above. When that is done, run ./deploy.sh again.")
{% endif %}


def _short(digest: str) -> str:
    return f"sha256:{digest.rpartition('sha256:')[2][:4]}…"


def _show(step: Step, service: Service, url: str, answer: str, warm_ms: float, cold_start: ColdStart | None) -> None:
    figures = [f"warm: {warm_ms:,.0f} ms"]
    report = cold_start.report if cold_start else {}
{% if cookiecutter.cold_starts == 'snapstart' %}
    if cold_start and "restoreDurationMs" in report:
        figures.insert(0, f"cold start: {cold_start.wall_ms:,.0f} ms (restore: {report['restoreDurationMs']:,.0f} ms)")
    elif cold_start and "initDurationMs" in report:
{% else %}
    if cold_start and "initDurationMs" in report:  # else an environment was there already
{% endif %}
        figures.insert(0, f"cold start: {cold_start.wall_ms:,.0f} ms")
    if "maxMemoryUsedMB" in report:
        figures.append(f"memory: {report['maxMemoryUsedMB']} of {service.memory_mb} MB")
{% if cookiecutter.endpoint == 'function_url' %}
    signed = " --aws-sigv4 …" if service.auth == "iam" else ""
    step.below += [f"$ curl -s{signed} {url.rstrip('/')}{service.check_path}", answer[:500], "  ·  ".join(figures)]
{% else %}
    step.below += [f"$ curl -s {url.rstrip('/')}{service.check_path}", answer[:500], "  ·  ".join(figures)]
{% endif %}
