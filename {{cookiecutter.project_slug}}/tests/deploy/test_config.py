"""deploy.toml is validated strictly, and an error names the key."""

from pathlib import Path

import pytest

from deploy.config import Config, load
from deploy.errors import UsageError

MINIMAL = 'name = "my-api"\nregion = "us-east-1"\n'


def load_text(folder: Path, text: str, stage: str = "prod") -> Config:
    file = folder / "deploy.toml"
    file.write_text(text, encoding="utf-8")
    return load(file, stage)


def test_the_file_of_this_project_is_valid() -> None:
    config = load(Path(__file__).resolve().parents[2] / "deploy.toml", "prod")
    assert config.stage == "prod"


def test_a_stage_overrides_the_keys_it_contains(tmp_path: Path) -> None:
    text = (
        MINIMAL
        + '[environment]\nLEFT = "1"\nRIGHT = "1"\n[stages.dev]\nmemory_mb = 256\n[stages.dev.environment]\nRIGHT = "2"\n'
    )
    assert load_text(tmp_path, text).memory_mb == 512
    dev = load_text(tmp_path, text, "dev")
    assert (dev.stage, dev.memory_mb, dev.environment) == ("dev", 256, {"LEFT": "1", "RIGHT": "2"})


def test_a_stage_adds_to_the_tags_and_replaces_the_permissions(tmp_path: Path) -> None:
    table = '[[{0}permissions]]\nactions = ["s3:{1}Object"]\nresources = ["*"]\n[{0}tags]\n{1} = "1"\n'
    text = MINIMAL + table.format("", "Get") + table.format("stages.dev.", "Put")
    dev = load_text(tmp_path, text, "dev")
    assert [permission.actions for permission in dev.permissions] == [["s3:PutObject"]]
    assert dev.tags == {"Get": "1", "Put": "1"}


def test_all_previews_share_a_table(tmp_path: Path) -> None:
    text = MINIMAL + "[stages.pr]\nmemory_mb = 256\n[stages.pr-7]\nmemory_mb = 128\n"
    assert [load_text(tmp_path, text, stage).memory_mb for stage in ("pr-12", "pr-7", "prod")] == [256, 128, 512]


@pytest.mark.parametrize(
    "expression",
    ["rate(1 minute)", "rate(5 minutes)", "cron(0 8 ? * MON-FRI *)", "cron(0 3 * * ? 2027)", "at(2027-01-31T12:00:00)"],
)
def test_a_job_can_have_any_kind_of_schedule(tmp_path: Path, expression: str) -> None:
    text = f'{MINIMAL}[jobs]\nmodule = "app.jobs"\nschedule.nightly.at = "{expression}"\n'
    jobs = load_text(tmp_path, text).jobs
    assert jobs
    assert jobs.schedule["nightly"].at == expression


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", "not valid TOML"),
        (MINIMAL + "memroy_mb = 512", "memroy_mb: unknown key"),
        (MINIMAL + 'memory_mb = "512"', "memory_mb: must be a valid integer; it is '512'"),
        (MINIMAL + "memory_mb = 64", "memory_mb: must be greater than or equal to 128; it is 64"),
        (MINIMAL + "log_retention_days = 31", "log_retention_days: must be 1, 3,"),
{% if cookiecutter.endpoint == 'function_url' %}
        (MINIMAL + 'auth = "public"', "auth: must be 'none' or 'iam'"),
{% else %}
        (MINIMAL + 'architecture = "arm"', "architecture: must be 'arm64' or 'x86_64'"),
        (MINIMAL + "timeout_s = 31", "timeout_s: must be less than or equal to 30; it is 31"),
        (MINIMAL + '[domain]\nname = "Example"', "domain.name: must be a DNS name, such as"),
        (MINIMAL + 'domain = "api.example.com"', "domain: must be a table"),
        (MINIMAL + '[domain]\nname = "a.example.com"\nhosted_zone = "Z0123"', "domain.hosted_zone: must be the"),
        (MINIMAL + '[domain]\nname = "a.example.com"\nhosted_zone = "ample.com"', "is not in the zone ample.com"),
        (MINIMAL + "[throttling]\nburst = 0", "throttling.burst: must be greater than or equal to 1"),
        (MINIMAL + "[stages.dev.throttling]\nbrust = 1", "stages.dev.throttling.brust: unknown key"),
{% endif %}
        (MINIMAL + "ephemeral_storage_mb = 511", "ephemeral_storage_mb: must be greater than or equal to 512"),
        (MINIMAL + 'permissions_boundary = "admin"', "permissions_boundary: must be the ARN of a managed policy"),
        (MINIMAL + '[tags]\n"aws:team" = "x"', "tags.aws:team: must be 1 to 128 letters, digits, spaces and"),
        (MINIMAL + '[tags]\nstage = "x"', "tags: stage is a tag of the deploy tool"),
        (MINIMAL + '[[permissions]]\nactions = ["s3:GetObject"]', "permissions.0.resources: is missing"),
        (MINIMAL + '[[permissions]]\nactions = ["*"]\nresources = ["*"]', "permissions.0.actions.0: must be a service"),
        (MINIMAL + "[jobs]\ntimeout_s = 60", "jobs.module: is missing"),
        (MINIMAL + '[jobs]\nmodule = "app/jobs.py"', "jobs.module: must be the name of a module, such as app.jobs"),
        (MINIMAL + '[jobs]\nmodule = "app.class"', "jobs.module: must not contain a keyword of Python"),
        (MINIMAL + '[jobs]\nmodule = "jobs"\nmax_concurrency = 1', "jobs.max_concurrency: must be greater"),
        (MINIMAL + '[jobs]\nmodule = "jobs"\n[jobs.schedule.daily]', "jobs.schedule.daily.at: is missing"),
        (MINIMAL + '[jobs]\nmodule = "jobs"\n[jobs.schedule.daily]\nat = "daily"', "daily.at: must be a schedule"),
        (MINIMAL + '[jobs]\nmodule = "a"\nschedule.b.at = "at(2027-02-31T12:00:00)"', "b.at: must be a date and a"),
        (MINIMAL + '[jobs]\nmodule = "jobs"\n[jobs.schedule.a-b]\nat = "rate(1 day)"', "a-b: must be the name of a"),
        (MINIMAL + 'secrets = ["api-key"]', "secrets.0: must be 1 to 64 capital letters, digits and underscores"),
        (MINIMAL + 'secrets = ["A", "A"]', "secrets: a name is listed twice"),
        (MINIMAL + "[environment]\nA_NUMBER = 1", "environment.A_NUMBER: must be text; it is 1"),
        (MINIMAL + '[environment]\nAWS_REGION = "x"', "environment.AWS_REGION: this name is reserved"),
        (MINIMAL + 'secrets = ["KEY"]\n[environment]\nKEY = "x"', "KEY is also listed in secrets"),
        (MINIMAL + "[stages.dev]\nmemory_mb = 64", "stages.dev.memory_mb: must be"),
        (MINIMAL + '[stages.dev]\nname = "other"', "stages.dev.name: cannot be set here"),
        (MINIMAL + "[stages.Dev]\nmemory_mb = 256", "'Dev' is not a valid stage name"),
        (MINIMAL + "stages = 1", "stages must be tables"),
        ('name = "my-api"', "region: is missing"),
        ('name = "my-api"\nregion = "cn-north-1"', "region: must be a Region of the partition aws, such as us-east-1"),
        ('name = "my-api"\nregion = "us-gov-west-1"', "region: must be a Region of the partition aws"),
        ('name = "My API"\nregion = "us-east-1"', "name: must be 3 to 40 lower-case letters"),
    ],
)
def test_an_error_names_the_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_text(tmp_path, text)
    assert message in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.exit_code == 2


def test_a_similar_key_is_suggested(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load_text(tmp_path, MINIMAL + "memroy_mb = 512")
    assert caught.value.hint == "Did you mean memory_mb?"
