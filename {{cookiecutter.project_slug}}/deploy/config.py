"""The content of deploy.toml: everything about the deployment that is not a secret."""

import difflib
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
from zoneinfo import available_timezones
{% endif %}

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from deploy.errors import UsageError

# The values that PutRetentionPolicy accepts (CloudWatch Logs API reference).
RetentionDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]
{% if cookiecutter.secrets == 'ssm' %}
SECRETS_SERVICE, SECRETS_LOCATION = "ssm", "SECRETS_PATH"
{% else %}
SECRETS_SERVICE, SECRETS_LOCATION = "secretsmanager", "SECRET_ID"
{% endif %}
# Source: docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
RESERVED_BY_LAMBDA = """
    AWS_ACCESS_KEY AWS_ACCESS_KEY_ID AWS_DEFAULT_REGION AWS_EXECUTION_ENV AWS_LAMBDA_FUNCTION_MEMORY_SIZE
    AWS_LAMBDA_FUNCTION_NAME AWS_LAMBDA_FUNCTION_VERSION AWS_LAMBDA_INITIALIZATION_TYPE AWS_LAMBDA_LOG_GROUP_NAME
    AWS_LAMBDA_LOG_STREAM_NAME AWS_LAMBDA_RUNTIME_API AWS_REGION AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
    LAMBDA_RUNTIME_DIR LAMBDA_TASK_ROOT TZ
"""
RESERVED_VARIABLES = {
    *("STAGE", SECRETS_LOCATION, "SECRET_NAMES", "SECRETS_CHANGED"),  # set by the deploy tool
    *RESERVED_BY_LAMBDA.split(),
}


def pattern(regex: str, description: str) -> AfterValidator:
    """Return a validator for text that matches `regex`. The error message contains the description."""

    def validate(text: str) -> str:
        if not re.fullmatch(regex, text):
            raise ValueError(f"must be {description}")
        return text

    return AfterValidator(validate)


UPPER_CASE_NAME = r"[A-Z][A-Z0-9_]{0,63}"
UPPER_CASE_DESCRIPTION = "1 to 64 capital letters, digits and underscores, such as API_KEY"
SecretName = Annotated[str, pattern(UPPER_CASE_NAME, UPPER_CASE_DESCRIPTION)]
VariableName = Annotated[
    str, pattern(r"[a-zA-Z][a-zA-Z0-9_]+", "2 or more letters, digits and underscores, such as PAGE_SIZE")
]
UrlPath = Annotated[str, pattern(r"/[^\s?#]*", "a path, such as /health")]


class Table(BaseModel):
    """A table of deploy.toml. Unknown keys are errors, and so is text in place of a number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Vpc(Table):
    """The network that the function is connected to."""

    subnet_ids: Annotated[list[Annotated[str, pattern(r"subnet-[0-9a-f]+", "the ID of a subnet")]], Field(min_length=1)]
    security_group_ids: Annotated[
        list[Annotated[str, pattern(r"sg-[0-9a-f]+", "the ID of a security group")]], Field(min_length=1)
    ]


{% if cookiecutter.endpoint == 'http_api' %}
DNS_NAME = r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]"


class Throttling(Table):
    """Limits for all clients together. Requests above them get status 429."""

    requests_per_second: Annotated[int, Field(ge=1, le=10_000)] = 100
    burst: Annotated[int, Field(ge=1, le=5_000)] = 200


class CustomDomain(Table):
    """A custom domain name. Its DNS records are created in the hosted zone, or printed if there is none."""

    name: Annotated[str, pattern(DNS_NAME, "a DNS name, such as api.example.com")]
    hosted_zone: Annotated[str, pattern(f"|{DNS_NAME}", "the DNS name of a zone, such as example.com")] = ""

    @model_validator(mode="after")
    def _check_zone(self) -> Self:
        if self.hosted_zone and not f".{self.name}".endswith(f".{self.hosted_zone}"):
            raise ValueError(f"{self.name} is not in the zone {self.hosted_zone}")
        return self


{% endif %}
{% if cookiecutter.cold_starts == 'snapstart' %}
# As of 2026-11-28, for container images (docs.aws.amazon.com/lambda/latest/dg/snapstart.html).
REGIONS_WITHOUT_SNAPSTART = {"ap-east-2", "ap-southeast-6"}


{% endif %}
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
# One of the two fields for the day must be ? (docs.aws.amazon.com/autoscaling/application/userguide).
CRON = r"cron\(\S+ \S+ (\? \S+ [^?\s]+|[^?\s]+ \S+ \?) \S+\)"
SCHEDULE = rf"{CRON}|rate\([1-9][0-9]* (minute|hour|day)s?\)|at\(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\)"


def _check_time_zone(name: str) -> str:
    known = available_timezones()  # empty on a machine without a list of time zones
    if known and name not in known:
        raise ValueError("must be a time zone, such as Europe/Berlin")
    return name


class Scheduled(Table):
    """A change of the number of environments at a certain time."""

    at: Annotated[str, pattern(SCHEDULE, "a schedule, such as cron(0 8 ? * MON-FRI *)")]
    executions: Annotated[int, Field(ge=0)]


class ProvisionedConcurrency(Table):
    """The number of execution environments that the live version keeps ready."""

    executions: Annotated[int, Field(ge=0)] = 0
    schedule: list[Scheduled] = []
    timezone: Annotated[str, AfterValidator(_check_time_zone)] = "UTC"

    @property
    def most(self) -> int:
        """The largest number that is ready at any time."""
        return max([self.executions, *(entry.executions for entry in self.schedule)])


{% endif %}
class Config(Table):
    """The configuration of one stage: deploy.toml with the changes in that stage's table applied."""

    stage: Annotated[str, pattern(r"[a-z]([a-z0-9-]{0,13}[a-z0-9])?", "a stage name")]
    name: Annotated[str, pattern(r"[a-z][a-z0-9-]{1,38}[a-z0-9]", "3 to 40 lower-case letters, digits and hyphens")]
    region: Annotated[str, pattern(r"[a-z]{2,4}(-[a-z]+)+-[0-9]", "a Region, such as us-east-1")]
    architecture: Literal["arm64", "x86_64"] = "arm64"
    memory_mb: Annotated[int, Field(ge=128, le=10_240)] = 512
{% if cookiecutter.endpoint == 'function_url' %}
    timeout_s: Annotated[int, Field(ge=1, le=900)] = 30
    auth: Literal["none", "iam"] = "none"
{% else %}
    timeout_s: Annotated[int, Field(ge=1, le=30)] = 30  # API Gateway does not wait longer
    throttling: Throttling = Throttling()
    domain: CustomDomain | None = None
{% endif %}
    log_level: Literal["DEBUG", "INFO", "WARN", "ERROR", "FATAL"] = "INFO"
    log_retention_days: RetentionDays = 30
    alarm_email: Annotated[str, pattern(r"|[^@\s]+@[^@\s]+", "an e-mail address")] = ""
    smoke_path: UrlPath = "/health"
    check_path: UrlPath = "/"
    keep_releases: Annotated[int, Field(ge=2, le=50)] = 5
    reserved_concurrency: Annotated[int, Field(ge=0)] | None = None
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
    provisioned_concurrency: ProvisionedConcurrency = ProvisionedConcurrency()
{% elif cookiecutter.cold_starts == 'snapstart' %}
    snapstart: bool = True
{% endif %}
    secrets: list[SecretName] = []
    environment: dict[VariableName, str] = {}
{% if cookiecutter.migrations == 'alembic' %}
    migration_timeout_s: Annotated[int, Field(ge=30, le=900)] = 900
{% endif %}
    vpc: Vpc | None = None

    @model_validator(mode="after")
    def _check_variable_names(self) -> Self:
        for table, names in {"environment": self.environment, "secrets": self.secrets}.items():
            for name in names:
                if name.upper() in RESERVED_VARIABLES:
                    raise ValueError(f"{table}.{name}: this name is reserved for Lambda or the deploy tool")
        if both := sorted({name.upper() for name in self.environment} & {*self.secrets}):
            raise ValueError(f"environment: {both[0]} is also listed in secrets")
        if len({*self.secrets}) < len(self.secrets):
            raise ValueError("secrets: a name is listed twice")
        return self

{% if cookiecutter.cold_starts == 'snapstart' %}
    @model_validator(mode="after")
    def _check_snapstart_region(self) -> Self:
        if self.snapstart and self.region in REGIONS_WITHOUT_SNAPSTART:
            raise ValueError(f"snapstart: is not available in {self.region}: set snapstart = false, or another region")
        return self

{% endif %}
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
    @model_validator(mode="after")
    def _check_reserved_concurrency(self) -> Self:
        needed = self.concurrency_needed
        if self.reserved_concurrency is not None and self.reserved_concurrency < needed:
            reason = "during a release, both the old and the new version have provisioned concurrency"
            raise ValueError(f"reserved_concurrency: must be at least {needed}: {reason}")
        return self

    @property
    def concurrency_needed(self) -> int:
        """The concurrent executions that the account must have for this stage."""
        return max(self.reserved_concurrency or 0, 2 * self.provisioned_concurrency.most)

{% else %}
    @property
    def concurrency_needed(self) -> int:
        """The concurrent executions that the account must have for this stage."""
        return self.reserved_concurrency or 0

{% endif %}
    @property
    def secrets_service(self) -> str:
        """The AWS service that stores the secrets, as in its endpoint."""
        return SECRETS_SERVICE

    @property
    def log_group(self) -> str:
        """The log group of the function."""
        return f"/aws/lambda/{self.name}-{self.stage}"


def load(path: Path, stage: str) -> Config:
    """Return the configuration of a stage. Raise UsageError, which names the key, for a mistake in the file."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # some editors on Windows write a BOM
    except OSError as error:
        raise UsageError(
            f"{path.name} cannot be read: {error.strerror}.", "Put it into the same folder as deploy.sh."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path.name} is not valid TOML: {error}.", f"Correct that line of {path.name}.") from None
    stages = data.pop("stages", {})
    if not isinstance(stages, dict) or not all(isinstance(overrides, dict) for overrides in stages.values()):
        raise UsageError(
            f"{path.name}: stages must be tables.", "Write [stages.dev] and, below it, the keys that differ there."
        )
    for name, overrides in stages.items():  # report a mistake before its stage is needed
        _load_stage(path.name, name, data, overrides)
    is_preview = re.fullmatch(r"pr-\d+", stage) and stage not in stages
    return _load_stage(path.name, stage, data, stages.get("pr" if is_preview else stage, {}))


def stage_names(path: Path) -> list[str]:
    """Return prod and the stages that have a table in the file, for shell completion. Never raise."""
    try:
        stages = tomllib.loads(path.read_text(encoding="utf-8-sig")).get("stages")
    except (OSError, ValueError):
        stages = None
    return [*dict.fromkeys(["prod", *(stages if isinstance(stages, dict) else [])])]


def _load_stage(file: str, stage: str, data: dict[str, Any], overrides: dict[str, Any]) -> Config:
    for key, reason in {"name": "the service has one name in all stages", "stage": "use --stage"}.items():
        if key in overrides or (key == "stage" and key in data):
            full_key = f"stages.{stage}.{key}" if key in overrides else key
            raise UsageError(f"{file}: {full_key}: cannot be set here: {reason}.", "Remove that line.")
    merged = data | overrides | {"stage": stage}
{% if cookiecutter.endpoint == 'http_api' %}
    if stage != "prod" and "domain" not in overrides:
        merged.pop("domain", None)  # a domain name can only lead to one stage
{% endif %}
    if isinstance(data.get("environment"), dict) and isinstance(overrides.get("environment"), dict):
        merged["environment"] = data["environment"] | overrides["environment"]
    try:
        return Config.model_validate(merged)
    except ValidationError as error:
        first: Any = error.errors(include_url=False)[0]
    if first["loc"] == ("stage",):
        raise UsageError(
            f"{stage!r} is not a valid stage name.", "Use a letter and up to 14 lower-case letters, digits and hyphens."
        )
    key = ".".join(str(part) for part in first["loc"] if part != "[key]")
    if first["loc"] and first["loc"][0] in overrides:
        key = f"stages.{stage}.{key}"
    message, hint = _describe(file, key, first)
    raise UsageError(f"{file}: {message}.", hint)


def _describe(file: str, key: str, error: dict[str, Any]) -> tuple[str, str]:
    """Return the message and the hint for an error of pydantic."""
    message = re.sub(r"^(Input|String|List) should ", "must ", error["msg"].removeprefix("Value error, "))
    hint = f"Correct {key} in {file}."
    match error["type"]:
        case "extra_forbidden":
            known = [name for table in Table.__subclasses__() for name in table.model_fields]
            similar = difflib.get_close_matches(str(error["loc"][-1]), known, 1)
            return f"{key}: unknown key", f"Did you mean {similar[0]}?" if similar else f"Remove {key}."
        case "missing":
            return f"{key}: is missing", f"Add {key} to {file}."
        case "model_type" | "dict_type":
            return f"{key}: must be a table", f"Write [{key}] in {file} and, below it, the keys of the table."
        case "string_type":
            return f"{key}: must be text; it is {error['input']!r}", "Put the value in quotes."
        case "value_error" if not key:  # the message of a validator of the whole configuration contains the key
            return message, f"Correct that key in {file}."
        case "value_error" if not isinstance(error["input"], str):  # the message of a validator of a table
            return f"{key}: {message}", hint
        case _:
            return f"{key}: {message}; it is {error['input']!r}", hint
