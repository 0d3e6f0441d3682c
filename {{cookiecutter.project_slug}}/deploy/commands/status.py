"""./deploy.sh status: what is live, from which commit and when it was published, and how it fares."""

import time
from argparse import ArgumentParser, Namespace

from deploy.aws import Aws
from deploy.config import Service
from deploy.log_lines import written
from deploy.problem import Problem
from deploy.release import describe, live
from deploy.resources import Stack
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
from deploy.resources.provisioned_concurrency import ProvisionedConcurrency
{% endif %}

ERRORS_SHOWN = 5
DAY_S = 24 * 3600


def arguments(parser: ArgumentParser, common: ArgumentParser) -> None:
    parser.add_argument("--url", action="store_true", help="print only the public URL")


def run(service: Service, aws: Aws, given: Namespace) -> None:
    """Raises Problem when nothing is live."""
    stack = Stack(service, aws)
    now = live(stack.function)
    if now is None:
        raise Problem(f"{service.name} has no release in stage {service.stage}.", "Deploy it: ./deploy.sh")
    if given.url:
        print(public_url(stack))
        return
    print(f"{service.name} · {service.stage} · {service.region}")
    version = now.holds
    _tell("live", describe(version))
    _tell("before it", f"version {now.previous}" if now.previous else "none recorded, as after a rollback")
    _tell("URL", stack.endpoint.url() or f"none yet: run {service.command}")
{% if cookiecutter.endpoint == 'http_api' %}
    if state := stack.domain.read():
        leads = "leads here" if state == stack.domain.desired() else f"not yet: run {service.command}"
        _tell("domain", f"{stack.domain.name} {leads}")
{% endif %}
    _tell("state", f"{version['State']} {version.get('StateReason', '')}".strip())
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
    ready = ProvisionedConcurrency(service, aws, now.version).read() or {"executions": 0, "schedule": []}
    scheduled = f" · {len(ready['schedule'])} scheduled changes" if ready["schedule"] else ""
    _tell("ready", f"{ready['executions'] or 0} environments{scheduled}")
{% endif %}
    _tell("image", version["ImageUri"])
    alarms = stack.alarms.read() or {}
    states = [f"{name} {alarms.get(name, {}).get('StateValue', 'missing')}" for name in stack.alarms.names]
    _tell("alarms", " · ".join(states))
    errors = _last_errors(service, aws)
    more = f"the last in 24 hours (more: {service.command} logs --errors --hours 24)"
    _tell("errors", more if errors else "none in the last 24 hours")
    for lines in errors[-ERRORS_SHOWN:]:
        print(f"  {lines[0]}" + (f": {lines[-1].strip()}" if len(lines) > 1 else ""))


def public_url(stack: Stack) -> str:
    """What clients call."""
{% if cookiecutter.endpoint == 'http_api' %}
    if (state := stack.domain.read()) and state == stack.domain.desired():
        return f"https://{stack.domain.name}/"
{% endif %}
    return stack.endpoint.url()


def _tell(what: str, fact: str) -> None:
    print(f"{what:10} {fact}")


def _last_errors(service: Service, aws: Aws) -> list[list[str]]:
    found = written(service, aws, time.time() - DAY_S, errors_only=True)
    return [line.text.splitlines() for _, line in found]
