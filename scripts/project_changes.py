"""Changes to a generated project that several programs and tests make."""

from pathlib import Path

from scripts.projects import Project

FINGERPRINT_ROUTE = """

@app.get("/mark")
async def mark() -> str:
    import hashlib

    from app.settings import get_settings

    return hashlib.sha256(get_settings().api_key.get_secret_value().encode()).hexdigest()
"""
SETTINGS_END = '    stage: str = "local"  # set by ./deploy.sh\n'


def add_secret(project: Project) -> Project:
    """Add the secret API_KEY to the settings, and the route /mark, which returns the SHA-256 of its value."""
    for file, old, new in (
        ("deploy.toml", "secrets = [", 'secrets = ["API_KEY", '),
        (
            "app/settings.py",
            "from pydantic_settings import ",
            "from pydantic import SecretStr\nfrom pydantic_settings import ",
        ),
        ("app/settings.py", SETTINGS_END, f"{SETTINGS_END}    api_key: SecretStr\n"),
    ):
        project.edit(file, old, new)
    append(project, "app/main.py", FINGERPRINT_ROUTE)
    return project


def append(project: Project, file: str, text: str) -> None:
    """Append text to a file of the project."""
    with (project.path / file).open("a", encoding="utf-8") as stream:
        stream.write(text)


def disable_throttling(project: Project) -> Project:
    """Set the request limits of an HTTP API to values that no test reaches."""
    if project.answers.get("endpoint") == "http_api":
        project.edit(
            "deploy.toml", "requests_per_second = 100\nburst = 200", "requests_per_second = 9000\nburst = 5000"
        )
    return project


def extend_aws_timeouts(project: Project, timeout_s: int = 60) -> Project:
    """Set the timeouts of the service's own calls to AWS to a time that a busy machine does not exceed."""
    project.edit("aws_lambda/sigv4.py", "\nTIMEOUT_S = 2 ", f"\nTIMEOUT_S = {timeout_s} ")
    project.edit("aws_lambda/jobs.py", "\nSEND_TIMEOUT_S = 1.8 ", f"\nSEND_TIMEOUT_S = {timeout_s} ")
    return project


def write_handler(folder: Path, source: str) -> Path:
    """Write a task root with the source of its handler. Tests of the deploy tool use it instead of a service."""
    package = folder / "aws_lambda"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "handler.py").write_text(source, encoding="utf-8")
    return folder
