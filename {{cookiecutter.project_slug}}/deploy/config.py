"""deploy.toml as a checked model: everything about the deployment that is not a secret."""

import difflib
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
from zoneinfo import available_timezones
{% endif %}

from pydantic import {% if cookiecutter.cold_starts == 'provisioned_concurrency' %}AfterValidator, {% endif %}BaseModel, ConfigDict, Field, ValidationError, model_validator

from deploy.errors import UsageError

# The values that PutRetentionPolicy takes (CloudWatch Logs API reference).
RetentionDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]
FORMS: dict[str, str] = {}  # by pattern: what a person would call text that matches it


def like(form: str, pattern: str) -> Any:
    """Text that looks so, in words and as a regular expression."""
    FORMS[pattern] = form
    return Field(pattern=pattern)


SecretName = Annotated[
    str, like("capitals, digits and underscores, such as API_KEY", r"^[A-Z][A-Z0-9_]*$"), Field(max_length=64)
]
VariableName = Annotated[str, like("letters, digits and underscores, such as PAGE_SIZE", r"^[a-zA-Z][a-zA-Z0-9_]+$")]
{% if cookiecutter.endpoint == 'http_api' %}
DNS_NAME = r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]"
{% endif %}
UrlPath = Annotated[str, like("a path, such as /health", r"^/[^\s?#]*$")]

{% if cookiecutter.secrets == 'ssm' %}
OUR_VARIABLES = {"STAGE", "SECRETS_PATH", "SECRET_NAMES", "SECRETS_CHANGED"}
{% else %}
OUR_VARIABLES = {"STAGE", "SECRET_ID", "SECRET_NAMES", "SECRETS_CHANGED"}
{% endif %}


class Table(BaseModel):
    """A table of deploy.toml: unknown keys are mistakes, and so is text where a number belongs."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


{% if cookiecutter.endpoint == 'http_api' %}
class Throttling(Table):
    """For all callers together; what is over it is answered 429."""

    requests_per_second: Annotated[int, Field(ge=1, le=10_000)] = 100
    burst: Annotated[int, Field(ge=1, le=5_000)] = 200


class CustomDomain(Table):
    """A name of the service's own. With a hosted zone of Route 53 its records are made, otherwise they are told."""

    name: Annotated[str, like("a DNS name, such as api.example.com", f"^{DNS_NAME}$")]
    hosted_zone: Annotated[str, like("the DNS name of a zone, such as example.com", f"^$|^{DNS_NAME}$")] = ""


{% endif %}
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
# Of the two fields for a day, one is ? (docs.aws.amazon.com/autoscaling/application/userguide).
CRON = r"cron\(\S+ \S+ (\? \S+ [^?\s]+|[^?\s]+ \S+ \?) \S+\)"
SCHEDULE = rf"^({CRON}|rate\([1-9]\d* (minute|hour|day)s?\)|at\(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\))$"


class Scheduled(Table):
    """From this time on, so many executions."""

    at: Annotated[str, like("a schedule, such as cron(0 8 ? * MON-FRI *)", SCHEDULE)]
    executions: Annotated[int, Field(ge=0)]


def _is_a_time_zone(name: str) -> str:
    known = available_timezones()  # none on a machine that has no list of them
    if known and name not in known:
        raise ValueError(f"provisioned_concurrency.timezone: there is no time zone {name!r}, such as Europe/Berlin")
    return name


class ProvisionedConcurrency(Table):
    """How many environments of what is live are ready at any time; 0: none."""

    executions: Annotated[int, Field(ge=0)] = 0
    schedule: list[Scheduled] = []
    timezone: Annotated[str, AfterValidator(_is_a_time_zone)] = "UTC"

    @property
    def most(self) -> int:
        """The most that are ready at once."""
        return max([self.executions, *(entry.executions for entry in self.schedule)])


{% endif %}
{% if cookiecutter.migrations == 'alembic' %}
class Vpc(Table):
    """The network that the database is in."""

    subnet_ids: Annotated[list[Annotated[str, like("a subnet's id", r"^subnet-[0-9a-f]+$")]], Field(min_length=1)]
    security_group_ids: Annotated[
        list[Annotated[str, like("a security group's id", r"^sg-[0-9a-f]+$")]], Field(min_length=1)
    ]


{% endif %}
class Config(Table):
    """One stage of the service: deploy.toml with that stage's overrides applied."""

    stage: Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]{0,13}[a-z0-9])?$")]
    name: Annotated[str, like("3 to 40 lower-case letters, digits and hyphens", r"^[a-z][a-z0-9-]{1,38}[a-z0-9]$")]
    region: Annotated[str, like("a Region, such as us-east-1", r"^[a-z]{2,4}(-[a-z]+)+-\d$")]
    architecture: Literal["arm64", "x86_64"] = "arm64"
    memory_mb: Annotated[int, Field(ge=128, le=10_240)] = 512
{% if cookiecutter.endpoint == 'function_url' %}
    timeout_s: Annotated[int, Field(ge=1, le=900)] = 30
{% else %}
    timeout_s: Annotated[int, Field(ge=1, le=30)] = 30  # API Gateway waits no longer
{% endif %}
    log_level: Literal["DEBUG", "INFO", "WARN", "ERROR", "FATAL"] = "INFO"
    log_retention_days: RetentionDays = 30
    alarm_email: Annotated[str, like("an e-mail address", r"^$|^[^@\s]+@[^@\s]+$")] = ""
{% if cookiecutter.endpoint == 'function_url' %}
    auth: Literal["none", "iam"] = "none"
{% endif %}
    smoke_path: UrlPath = "/health"
    check_path: UrlPath = "/"
    keep_releases: Annotated[int, Field(ge=2, le=50)] = 5
    reserved_concurrency: Annotated[int, Field(ge=0)] | None = None
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
    provisioned_concurrency: ProvisionedConcurrency = ProvisionedConcurrency()
{% endif %}
{% if cookiecutter.cold_starts == 'snapstart' %}
    snapstart: bool = True
{% endif %}
    secrets: list[SecretName] = []
    environment: dict[VariableName, str] = {}
{% if cookiecutter.endpoint == 'http_api' %}
    throttling: Throttling = Throttling()
    domain: CustomDomain | None = None
{% endif %}
{% if cookiecutter.migrations == 'alembic' %}
    migration_timeout_s: Annotated[int, Field(ge=30, le=900)] = 900
    vpc: Vpc | None = None
{% endif %}

    @model_validator(mode="after")
    def _names_are_free(self) -> Self:
        environment, secrets = [*self.environment], self.secrets
        for key in [f"environment.{name}" for name in environment] + [f"secrets.{name}" for name in secrets]:
            name = key.partition(".")[2].upper()
            if name in OUR_VARIABLES or name.startswith(("AWS_", "LAMBDA_")):
                raise ValueError(f"{key}: this name is taken by Lambda or by the deploy tool")
        if both := sorted({name.upper() for name in environment} & {*secrets}):
            raise ValueError(f"environment: {both[0]} is listed in secrets too")
        if len({*secrets}) < len(secrets):
            raise ValueError("secrets: a name is listed twice")
{% if cookiecutter.endpoint == 'http_api' %}
        if self.domain and not f".{self.domain.name}".endswith(f".{self.domain.hosted_zone}".rstrip(".")):
            raise ValueError(f"domain.name: {self.domain.name} is not in the zone {self.domain.hosted_zone}")
{% endif %}
        return self

{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
    @model_validator(mode="after")
    def _a_release_needs_twice_as_many(self) -> Self:
        both = 2 * self.provisioned_concurrency.most
        if self.reserved_concurrency is not None and self.reserved_concurrency < both:
            why = "during a release the old version and the new one are both provisioned"
            raise ValueError(f"reserved_concurrency: must be at least {both}: {why}")
        return self

{% endif %}
    @property
    def full_name(self) -> str:
        """The name of the function and of nearly everything else in AWS."""
        return f"{self.name}-{self.stage}"

    @property
    def command(self) -> str:
        """What calls this tool for this stage."""
        return "./deploy.sh" if self.stage == "prod" else f"./deploy.sh --stage {self.stage}"

    @property
    def log_group(self) -> str:
        return f"/aws/lambda/{self.full_name}"

    @property
{% if cookiecutter.secrets == 'ssm' %}
    def secrets_path(self) -> str:
        return f"/{self.name}/{self.stage}/"
{% else %}
    def secret_id(self) -> str:
        return f"{self.name}/{self.stage}"
{% endif %}

    @property
    def tags(self) -> dict[str, str]:
        """On everything that can hold tags; what lacks them was not made by this tool and is never touched."""
        return {"service": self.name, "stage": self.stage, "managed-by": "deploy.sh"}

    @property
    def tag_list(self) -> list[Any]:
        """The same in the way that half of AWS's services take them."""
        return [{"Key": key, "Value": value} for key, value in self.tags.items()]


def load(path: Path, stage: str) -> Config:
    """The service as deploy.toml describes it for this stage; raises UsageError that names the key."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path.name} cannot be read: {error.strerror}.", "Put it beside deploy.sh.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path.name} is not valid TOML: {error}.", f"Correct that line of {path.name}.") from None
    stages = data.pop("stages", {})
    if not isinstance(stages, dict) or not all(isinstance(overrides, dict) for overrides in stages.values()):
        raise UsageError(f"{path.name}: stages must be tables.", "Write [stages.dev] and the keys that differ below.")
    for other, overrides in stages.items():  # a mistake in a stage shows before that stage is needed
        _check(path, other, data, overrides)
    table = "pr" if re.fullmatch(r"pr-\d+", stage) and stage not in stages else stage
    return _check(path, stage, data, stages.get(table, {}))


def _check(path: Path, stage: str, data: dict[str, Any], overrides: dict[str, Any]) -> Config:
    for key, meant in {"name": "the service has one name in all stages", "stage": "use --stage"}.items():
        if key in overrides or (key == "stage" and key in data):
            where = f"stages.{stage}." if key in overrides else ""
            raise UsageError(f"{path.name}: {where}{key}: cannot be set here: {meant}.", "Remove that line.")
    merged = data | overrides
{% if cookiecutter.endpoint == 'http_api' %}
    if stage != "prod" and "domain" not in overrides:
        merged.pop("domain", None)  # one name cannot lead to two stages
{% endif %}
    if isinstance(data.get("environment"), dict) and isinstance(overrides.get("environment"), dict):
        merged["environment"] = data["environment"] | overrides["environment"]
    try:
        return Config.model_validate(merged | {"stage": stage})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"] if part != "[key]")
    where = f"stages.{stage}.{key}" if first["loc"][:1] and first["loc"][0] in overrides else key
    wanted = re.sub(r"^(Input|String|List) should ", "must ", first["msg"].removeprefix("Value error, "))
    match first["type"]:
        case _ if key == "stage":
            what = f"{stage!r} cannot be a stage's name."
            raise UsageError(what, "Use at most 15 lower-case letters and digits, with dashes between them.")
        case "extra_forbidden":
            names = [name for table in Table.__subclasses__() for name in table.model_fields]
            near = difflib.get_close_matches(str(first["loc"][-1]), names, 1)
            told, fix = "unknown key", f"Did you mean {near[0]}?" if near else f"Remove {where}."
        case "model_type" | "dict_type":
            told, fix = "must be a table", f"Write [{where}] in {path.name}, and its keys below."
        case "string_pattern_mismatch":
            told = f"must be {FORMS[first['ctx']['pattern']]}; it is {first['input']!r}"
            fix = f"Correct {where} in {path.name}."
        case "string_type":
            told, fix = f"must be text; it is {first['input']!r}", "Put it in quotes."
        case "missing":
            told, fix = "is missing", f"Add {where} to {path.name}."
        case "value_error":  # from a validator above, which names the key itself
            raise UsageError(f"{path.name}: {wanted}.", f"Correct that key in {path.name}.")
        case _:
            told, fix = f"{wanted}; it is {first['input']!r}", f"Correct {where} in {path.name}."
    raise UsageError(f"{path.name}: {where}: {told}.", fix)
