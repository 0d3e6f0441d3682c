"""`make check`: find what would make the service fail on Lambda, before a deploy.

The service is imported in a new process that contains only the files and packages of the image and the variables of
deploy.toml. Secrets have the values that conftest.py or the environment of this command sets, or an invented one.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

from deploy.build_context import build_context
from deploy.config import Config, load
from deploy.errors import DeployError, missing_package_advice
from deploy.smoke_test import http_event
{% if cookiecutter.migrations == 'alembic' %}
from tests.postgres import new_database, server
{% endif %}

PROJECT = Path(__file__).resolve().parents[1]
INSPECT = Path(__file__).with_name("inspect_application.py")
PLACEHOLDER = "cGxhY2Vob2xkZXItb2YtYS1zZWNyZXQtaW4tY2hlY2s="  # long, and valid as text, as a key and as base64
FROM_THIS_MACHINE = ("HOME", "LANG", "PATH", "SYSTEMROOT", "TEMP", "TMPDIR")
SLOW_IMPORT_S = 1.0
MAX_NAMES = 5  # in a line
IMPORT_TIME = re.compile(r"^import time: +(\d+) \| +\d+ \| *([^\s.]+)", re.MULTILINE)  # the columns of -X importtime
ADD_VARIABLES = "Add what is missing to [environment] in deploy.toml or, if it is confidential, to secrets."
SECRETS_ARE_INVENTED = "Secrets have test values. If this needs a real one, set it: API_KEY=... make check."


class Report:
    """Prints a line for each check, in the format of ./deploy.sh doctor."""

    problems = 0

    def ok(self, name: str, result: str) -> None:
        print(f"ok       {name}: {result}")

    def skip(self, name: str, reason: str) -> None:
        print(f"skipped  {name}: {reason}")

    def note(self, name: str, result: str, advice: str) -> None:
        print(f"note     {name}: {result}\n         {advice}")

    def problem(self, name: str, result: str, advice: str) -> None:
        print(f"PROBLEM  {name}: {' '.join(result.split())}\n         {advice}")
        self.problems += 1


def join(names: Iterable[str]) -> str:
    """Return the first names as text."""
    unique = list(dict.fromkeys(names))
    more = f" and {len(unique) - MAX_NAMES} more" if len(unique) > MAX_NAMES else ""
    return ", ".join(unique[:MAX_NAMES]) + more


def modules_outside_the_image(project: Path) -> list[str]:
    """Return the modules of this virtual environment that requirements.txt does not install."""
    lines = (project / "requirements.txt").read_text("utf-8").splitlines()
    pinned = {normalize(match[0]) for line in lines if (match := re.match(r"[A-Za-z0-9][\w.-]*", line))}
    modules = packages_distributions().items()
    return [module for module, names in modules if pinned.isdisjoint(map(normalize, names))]


def normalize(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def secret_values(config: Config) -> dict[str, str]:
    """Return a value for each secret: that of the environment, or of conftest.py, or an invented one."""
    environment = dict(os.environ)
    with suppress(Exception):  # it may import the service, and the check of the import explains why that fails
        import conftest  # noqa: F401
    values = {**os.environ, **environment}
    return {name: values.get(name, PLACEHOLDER) for name in config.secrets}


def lambda_environment(config: Config, image: Path) -> dict[str, str]:
    """Return the environment variables that the service has on Lambda, and those that Python needs."""
    variables = {
        "AWS_ACCESS_KEY_ID": "check",
        "AWS_SECRET_ACCESS_KEY": "check",
        "AWS_DEFAULT_REGION": config.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_LAMBDA_FUNCTION_NAME": f"{config.name}-{config.stage}",
{% if cookiecutter.cold_starts == 'snapstart' %}
        "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start" if config.snapstart else "on-demand",
{% elif cookiecutter.cold_starts == 'provisioned_concurrency' %}
        "AWS_LAMBDA_INITIALIZATION_TYPE": "provisioned-concurrency",
{% endif %}
        "AWS_REGION": config.region,
        "PYTHONPATH": str(image),
        "SECRET_NAMES": ",".join(config.secrets),
        "STAGE": config.stage,
    }
    if config.jobs:
        variables["JOBS_MODULE"] = config.jobs.module
        queue = f"{config.name}-{config.stage}-jobs"
        variables["JOBS_QUEUE_URL"] = f"https://sqs.{config.region}.amazonaws.com/000000000000/{queue}"
    of_this_machine = {name: value for name, value in os.environ.items() if name in FROM_THIS_MACHINE}
    return of_this_machine | config.environment | variables


@contextmanager
def image_folder(project: Path) -> Iterator[Path]:
    """Copy the files of the image to a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder).resolve()
        for file in build_context(project):
            copy = image / file.relative_to(project)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, copy, follow_symlinks=False)
        yield image


def inspect_application(
    project: Path, image: Path, environment: dict[str, str], request: dict[str, Any]
) -> tuple[dict[str, Any] | None, str]:
    """Return what tests/inspect_application.py found, or None if its process ended early, and what it printed."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "output.json")
        result = subprocess.run(
            [sys.executable, "-u", "-P", "-X", "importtime", str(INSPECT), str(output)],
            cwd=image,
            env=environment,
            input=json.dumps({"hidden": modules_outside_the_image(project), **request}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return json.loads(output.read_text("utf-8")) if output.exists() else None, result.stdout


def report_early_end(report: Report, name: str, output: str) -> None:
    lines = [line for line in output.splitlines() if not line.startswith("import time:")]
    report.problem(name, f"the process ended: {' '.join(lines[-3:])}", "Remove what ends the process.")


def check_import(report: Report, config: Config, description: dict[str, Any], output: str) -> None:
    if error := description["error"]:
        name, advice = "import", f"It ran with only the variables and secrets of deploy.toml. {ADD_VARIABLES}"
        if config.secrets:
            advice += f" {SECRETS_ARE_INVENTED}"
        if description["is_imported"]:
            name, advice = "start", f"This is an error in the lifespan of the application. {SECRETS_ARE_INVENTED}"
{% if cookiecutter.cold_starts == 'snapstart' %}
        elif config.snapstart and config.secrets:
            advice = "With SnapStart, secrets are not set yet: read them in functions, or set snapstart = false."
{% endif %}
        report.problem(name, error, missing_package_advice(error) or advice)
        return
    duration_s = description["import_s"]
    report.ok("import", f"{duration_s * 1000:.0f} ms on this machine")
    if duration_s > SLOW_IMPORT_S:
        times: Counter[str] = Counter()
        for time_us, package in IMPORT_TIME.findall(output):
            times[package] += int(time_us)
        slowest = ", ".join(f"{package} {time_us / 1000:.0f} ms" for package, time_us in times.most_common(3))
        report.note("slow import", slowest, "Import large libraries inside the routes that need them.")


def check_settings(report: Report, missing: dict[str, list[str]]) -> None:
    for settings, names in missing.items():
        report.problem("settings", f"{settings} requires {', '.join(names)}", ADD_VARIABLES)
    if not missing:
        report.ok("settings", "deploy.toml contains all required variables and secrets")


def check_responses(report: Report, config: Config, description: dict[str, Any]) -> None:
    paths = {"smoke_path": config.smoke_path, "check_path": config.check_path}
    for setting, response in description["responses"].items():
        status, errors = response["status"], response["errors"]
        expected, highest = ("200", 200) if setting == "smoke_path" else ("a status below 400", 399)
        result = f"GET {paths[setting]} responds with {status}"
        if status is not None and 200 <= status <= highest:
            report.ok(setting, result)
        elif errors or status is None:
            error = errors[-1] if errors else "no response"
            advice = missing_package_advice(error) or SECRETS_ARE_INVENTED
            report.problem(setting, f"GET {paths[setting]} failed: {error}", advice)
        elif response["rejects_host"]:
            report.problem(setting, result, f"Allow the host {config.smoke_host} in TrustedHostMiddleware.")
        else:
            existing = [path for path in (description["routes"] or {}).get("get", []) if path != paths[setting]]
            example = f", such as {join(existing)}" if existing else ""
            report.problem(setting, result, f"Set {setting} in deploy.toml to a path that returns {expected}{example}.")


def check_routes(report: Report, routes: dict[str, list[str]] | None) -> None:
    if routes is None:
        report.skip("routes", "this is not a Starlette or FastAPI application")
        return
    if routes["websocket"]:
        advice = "Lambda does not support WebSockets. Serve these routes elsewhere, and remove them here."
        report.problem("WebSockets", join(routes["websocket"]), advice)
    if routes["stream"]:
        advice = "A stream arrives when it is complete, and one that does not end times out."
        report.note("streams", join(routes["stream"]), advice)
    if routes["sync"]:
        advice = "A plain def runs in a thread, which takes longer: use async def for routes that do not block."
        count = f"{len(routes['sync'])} of {len(routes['all'])} routes"
        report.note("plain def", f"{count}: {join(routes['sync'])}", advice)
    if not routes["websocket"]:
        report.ok("routes", f"{len(routes['all'])}, no WebSockets")


def check_service(report: Report, project: Path, image: Path, config: Config, secrets: dict[str, str]) -> None:
    events = {
        "smoke_path": http_event(config.smoke_path, config.smoke_host),
        "check_path": http_event(config.check_path, config.smoke_host),
    }
    request = {"part": "service", "secrets": secrets, "events": events}
    description, output = inspect_application(project, image, lambda_environment(config, image), request)
    if description is None:
        report_early_end(report, "import", output)
        return
    check_import(report, config, description, output)
    check_settings(report, description["missing"])
    if description["error"] is None:
        check_responses(report, config, description)
    if description["is_imported"]:
        check_routes(report, description["routes"])
        if jobs := description["unknown_jobs"]:
            advice = 'Add to deploy.toml a table [jobs] with the key module, such as module = "app.jobs".'
            if config.jobs:
                advice = f"Import it in {config.jobs.module}, the module under [jobs] in deploy.toml."
            report.problem("jobs", f"{join(jobs)} cannot be queued", advice)


def check_jobs(report: Report, project: Path, image: Path, config: Config, secrets: dict[str, str]) -> None:
    """Import the jobs module in a process of its own, as the jobs function does. It imports nothing else."""
    if config.jobs is None:
        return
    module = config.jobs.module
    environment = lambda_environment(config, image) | {"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand"}
    request = {"part": "jobs", "secrets": secrets, "scheduled_jobs": list(config.jobs.schedule)}
    description, output = inspect_application(project, image, environment, request)
    if description is None:
        report_early_end(report, "jobs", output)
    elif error := description["error"]:
        advice = missing_package_advice(error) or f"It ran with only what deploy.toml sets. {ADD_VARIABLES}"
        if description["is_missing"]:
            advice = "Under [jobs] in deploy.toml, set module to the module that contains your jobs."
        elif error.startswith("JobError: "):
            advice = "Correct the declaration of this job."
        report.problem("jobs", error, advice)
    elif unknown := description["unknown"]:
        advice = "Define it there with @job, or remove it from [jobs.schedule] in deploy.toml."
        report.problem("jobs", f"{module} has no job {join(unknown)}", advice)
    elif need_arguments := description["need_arguments"]:
        result = f"a schedule cannot pass arguments to {join(need_arguments)}"
        report.problem("jobs", result, "Give each parameter a default, or schedule another job that calls it.")
    else:
        report.ok("jobs", f"{module} contains {join(description['jobs']) or 'none'}")


{% if cookiecutter.migrations == 'alembic' %}
def check_migrations(report: Report, project: Path, image: Path, config: Config, secrets: dict[str, str]) -> None:
    request = {"part": "migrations", "secrets": secrets}
    description, output = inspect_application(project, image, lambda_environment(config, image), request)
    if description is None:
        report_early_end(report, "migrations", output)
    elif error := description["error"]:
        report.problem("migrations", error, missing_package_advice(error) or ADD_VARIABLES)
    else:
        report.ok("migrations", "an empty database was upgraded to the newest revision")


{% endif %}
def main() -> int:
    """Print a line for each check. Return 1 if there are problems."""
    try:
        config = load(PROJECT / "deploy.toml", "prod")
    except DeployError as error:
        print(error.message, error.hint, sep="\n", file=sys.stderr)
        return error.exit_code
    report, secrets = Report(), secret_values(config)
{% if cookiecutter.migrations == 'alembic' %}
    with image_folder(PROJECT) as image, server() as server_url, new_database(server_url) as url:
        secrets["DATABASE_URL"] = url
        check_migrations(report, PROJECT, image, config, secrets)
        check_service(report, PROJECT, image, config, secrets)
        check_jobs(report, PROJECT, image, config, secrets)
{% else %}
    with image_folder(PROJECT) as image:
        check_service(report, PROJECT, image, config, secrets)
        check_jobs(report, PROJECT, image, config, secrets)
{% endif %}
    if report.problems:
        print(f"{report.problems} {'problem' if report.problems == 1 else 'problems'} found.")
        return 1
    print("No problems found.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
