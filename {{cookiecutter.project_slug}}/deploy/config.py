"""The content of deploy.toml: everything about the deployment that is not a secret."""

import difflib
import keyword
import re
import tomllib
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import available_timezones

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
MAX_TIMEOUT_S = 1_800  # botocore 1.44.7 documents it since 2026-11-19; it was 900 before
MERGED = ("environment", "tags")  # a stage adds to these tables; its other keys replace those of all stages
RESERVED_VARIABLES = {
    *("STAGE", SECRETS_LOCATION, "SECRET_NAMES", "SECRETS_CHANGED"),  # set by the deploy tool
    *("JOBS_MODULE", "JOBS_QUEUE_URL"),
    *RESERVED_BY_LAMBDA.split(),
}


def pattern(regex: str, description: str) -> AfterValidator:
    """Return a validator for text that matches `regex`. The error message contains the description."""

    def validate(text: str) -> str:
        if not re.fullmatch(regex, text):
            raise ValueError(f"must be {description}")
        return text

    return AfterValidator(validate)


# Other partitions, such as China and GovCloud, use other host names or lack features.
REGION = r"(af|ap|ca|eu|il|me|mx|sa|us)-(north|south|central|(north|south)?(east|west))-[1-9]"
UPPER_CASE_NAME = r"[A-Z][A-Z0-9_]{0,63}"
UPPER_CASE_DESCRIPTION = "1 to 64 capital letters, digits and underscores, such as API_KEY"
SecretName = Annotated[str, pattern(UPPER_CASE_NAME, UPPER_CASE_DESCRIPTION)]
VariableName = Annotated[
    str, pattern(r"[a-zA-Z][a-zA-Z0-9_]+", "2 or more letters, digits and underscores, such as PAGE_SIZE")
]
UrlPath = Annotated[str, pattern(r"/[^\s?#]*", "a path, such as /health")]
Action = Annotated[
    str, pattern(r"[a-z0-9-]+:[A-Za-z0-9*]+", "a service and one of its actions, such as s3:GetObject or s3:Get*")
]
BoundaryArn = Annotated[
    str,
    pattern(r"|arn:aws:iam::([0-9]{12}|aws):policy/[\w+=,.@/-]+", "the ARN of a managed policy"),
]
# The tags of the deploy tool, and the separator of the keys that it records in one of them.
{% if cookiecutter.endpoint == 'http_api' %}
OWN_TAGS = ("service", "stage", "managed-by", "managed-tags", "jobs", "domain", "hosted-zone")
{% else %}
OWN_TAGS = ("service", "stage", "managed-by", "managed-tags", "jobs")
{% endif %}
TAG_SEPARATOR = "+"
MAX_TAGS = 50 - len(OWN_TAGS)  # AWS allows 50 for most resources
# The rules that all services share (docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html).
TAG_CHARACTERS = "letters, digits, spaces and . : / = _ @ -"
TagKey = Annotated[
    str,
    pattern(r"(?i)(?!aws:)[\w .:/=@-]{1,128}", f"1 to 128 {TAG_CHARACTERS}, and must not begin with aws:"),
]
TagValue = Annotated[str, pattern(r"[\w .:/=@+-]{0,256}", f"up to 256 {TAG_CHARACTERS} +")]
# One of the two fields for the day must be ? (docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html).
RATE = r"rate\((1 (minute|hour|day)|(?!1 )[1-9][0-9]* (minutes|hours|days))\)"
CRON = r"cron\(\S+ \S+ (\? \S+ [^?\s]+|[^?\s]+ \S+ \?) \S+\)"


def _check_date(expression: str) -> str:
    if expression.startswith("at("):
        try:
            datetime.fromisoformat(expression[3:-1])
        except ValueError:
            raise ValueError("must be a date and a time that exist, such as at(2030-01-31T12:00:00)") from None
    return expression


ScheduleExpression = Annotated[
    str,
    pattern(
        rf"{CRON}|{RATE}|at\(\d\d\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\)",
        "a schedule, such as rate(5 minutes), at(2030-01-31T12:00:00), or cron(0 8 ? * MON-FRI *) with minutes, hours, "
        "day of the month, month, day of the week and year, and one of the two days is ?",
    ),
    AfterValidator(_check_date),
]
PLACEHOLDER = r"(?<!\$)\{([^}]*)\}"  # in the ARNs under [[permissions]]


def _check_resource(text: str) -> str:
    if text != "*" and not re.fullmatch(r"arn:[^\s:]+:[^\s:]+:[^\s:]*:[^\s:]*:\S+", text):
        raise ValueError('must be an ARN, such as arn:aws:s3:::my-bucket/*, or "*" for every resource')
    for name in re.findall(PLACEHOLDER, text):
        if name not in ("account", "region", "stage"):
            raise ValueError("can only contain the placeholders {account}, {region} and {stage}")
    return text


def _check_time_zone(name: str) -> str:
    known = available_timezones()  # empty on a machine without a list of time zones
    if known and name not in known:
        raise ValueError("must be a time zone, such as Europe/Berlin")
    return name


def _check_keyword(name: str) -> str:
    if any(keyword.iskeyword(part) for part in name.split(".")):
        raise ValueError("must not contain a keyword of Python")
    return name


TimeZone = Annotated[str, AfterValidator(_check_time_zone)]
ModuleName = Annotated[
    str,
    pattern(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", "the name of a module, such as app.jobs"),
    AfterValidator(_check_keyword),
]
# The name of a schedule has at most 64 characters (docs.aws.amazon.com/scheduler/latest/APIReference).
JobName = Annotated[
    str,
    pattern(r"[A-Za-z_][A-Za-z0-9_]{0,63}", "the name of a function with at most 64 characters, such as nightly"),
    AfterValidator(_check_keyword),
]


def _check_tags(tags: dict[str, str]) -> dict[str, str]:
    names = [key.lower() for key in tags]  # the keys of IAM's tags are not case-sensitive
    for key, name in zip(tags, names, strict=True):
        if name in OWN_TAGS or name.startswith("secret:"):
            raise ValueError(f"{key} is a tag of the deploy tool")
        if names.count(name) > 1:
            raise ValueError(f"{key} is listed twice, and IAM does not distinguish upper and lower case")
    if len(tags) > MAX_TAGS:
        raise ValueError(f"must have at most {MAX_TAGS} items, not {len(tags)}")
    if (length := len(TAG_SEPARATOR.join(tags))) > 256:
        raise ValueError(f"the keys, joined with {TAG_SEPARATOR}, must have at most 256 characters; they have {length}")
    return tags


class Table(BaseModel):
    """A table of deploy.toml. Unknown keys are errors, and so is text in place of a number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


# What to write in place of a key that is missing or empty.
EXAMPLES = {
    "module": 'the module that contains the jobs, such as module = "app.jobs"',
    "at": 'the time, such as at = "cron(0 3 * * ? *)"',
    "actions": 'the actions to allow, such as actions = ["s3:GetObject"]',
    "resources": 'the ARNs of the resources, or resources = ["*"] to allow the actions on every resource',
}


class Permission(Table):
    """A statement in the policy of the service's IAM role."""

    actions: Annotated[list[Action], Field(min_length=1)]
    resources: Annotated[list[Annotated[str, AfterValidator(_check_resource)]], Field(min_length=1)]


class Vpc(Table):
    """The network that the function is connected to."""

    subnet_ids: Annotated[list[Annotated[str, pattern(r"subnet-[0-9a-f]+", "the ID of a subnet")]], Field(min_length=1)]
    security_group_ids: Annotated[
        list[Annotated[str, pattern(r"sg-[0-9a-f]+", "the ID of a security group")]], Field(min_length=1)
    ]


class JobSchedule(Table):
    """The times at which a job is queued."""

    at: ScheduleExpression
    timezone: TimeZone = "UTC"


class Jobs(Table):
    """Background jobs: functions of a module that run in a Lambda function of their own.

    Without `memory_mb`, that function has as much memory as the one of the service.
    """

    module: ModuleName
    timeout_s: Annotated[int, Field(ge=1, le=MAX_TIMEOUT_S)] = 60
    memory_mb: Annotated[int, Field(ge=128, le=10_240)] | None = None
    max_concurrency: Annotated[int, Field(ge=2, le=1_000)] = 5
    schedule: dict[JobName, JobSchedule] = {}

    @property
    def visibility_timeout_s(self) -> int:
        """The time after which a job that failed is tried again."""
        return visibility_timeout_s(self.timeout_s)


def visibility_timeout_s(timeout_s: int) -> int:
    """Return the time for which SQS hides a message that a function with this timeout has received.

    AWS recommends six times the timeout (docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html).
    """
    return 6 * timeout_s


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
class Scheduled(Table):
    """A change of the number of environments at a certain time."""

    at: ScheduleExpression
    executions: Annotated[int, Field(ge=0)]


class ProvisionedConcurrency(Table):
    """The number of execution environments that the live version keeps ready."""

    executions: Annotated[int, Field(ge=0)] = 0
    schedule: list[Scheduled] = []
    timezone: TimeZone = "UTC"

    @property
    def most(self) -> int:
        """The largest number that is ready at any time."""
        return max([self.executions, *(entry.executions for entry in self.schedule)])


{% endif %}
class Config(Table):
    """The configuration of one stage: deploy.toml with the changes in that stage's table applied."""

    stage: Annotated[str, pattern(r"[a-z]([a-z0-9-]{0,13}[a-z0-9])?", "a stage name")]
    name: Annotated[str, pattern(r"[a-z][a-z0-9-]{1,38}[a-z0-9]", "3 to 40 lower-case letters, digits and hyphens")]
    region: Annotated[str, pattern(REGION, "a Region of the partition aws, such as us-east-1")]
    architecture: Literal["arm64", "x86_64"] = "arm64"
    memory_mb: Annotated[int, Field(ge=128, le=10_240)] = 512
    ephemeral_storage_mb: Annotated[int, Field(ge=512, le=10_240)] = 512
{% if cookiecutter.endpoint == 'function_url' %}
    timeout_s: Annotated[int, Field(ge=1, le=MAX_TIMEOUT_S)] = 30
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
    container_engine: Literal["docker", "podman", "finch"] | None = None
    keep_releases: Annotated[int, Field(ge=2, le=50)] = 5
    reserved_concurrency: Annotated[int, Field(ge=0)] | None = None
    tracing: bool = False
    permissions_boundary: BoundaryArn = ""
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
    provisioned_concurrency: ProvisionedConcurrency = ProvisionedConcurrency()
{% elif cookiecutter.cold_starts == 'snapstart' %}
    snapstart: bool = True
{% endif %}
    secrets: list[SecretName] = []
    environment: dict[VariableName, str] = {}
    tags: Annotated[dict[TagKey, TagValue], AfterValidator(_check_tags)] = {}
    permissions: list[Permission] = []
{% if cookiecutter.migrations == 'alembic' %}
    migration_timeout_s: Annotated[int, Field(ge=30, le=MAX_TIMEOUT_S)] = 900
{% endif %}
    vpc: Vpc | None = None
    jobs: Jobs | None = None

    @property
    def smoke_host(self) -> str:
        """The host of the smoke test's request. A service may reject hosts that it does not know."""
{% if cookiecutter.endpoint == 'http_api' %}
        if self.domain:
            return self.domain.name
{% endif %}
        return "smoke-test.internal"

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

{% if cookiecutter.secrets == 'secrets_manager' %}
    @model_validator(mode="after")
    def _check_tags_of_secret(self) -> Self:
        if len(self.tags) + len(self.secrets) > MAX_TAGS:
            raise ValueError(f"tags: must have at most {MAX_TAGS} items together with secrets, which use tags as well")
        return self

{% endif %}
{% if cookiecutter.cold_starts == 'snapstart' %}
    @model_validator(mode="after")
    def _check_snapstart(self) -> Self:
        if self.snapstart and self.region in REGIONS_WITHOUT_SNAPSTART:
            raise ValueError(f"snapstart: is not available in {self.region}: set snapstart = false, or another region")
        if self.snapstart and self.ephemeral_storage_mb > 512:
            raise ValueError("ephemeral_storage_mb: must be 512 with SnapStart: lower it, or set snapstart = false")
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
    except UnicodeDecodeError:
        raise UsageError(f"{path.name} is not valid UTF-8.", "Save it with the encoding UTF-8.") from None
    except (ValueError, RecursionError) as error:
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
    except (OSError, ValueError, RecursionError):
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
    for key in MERGED:
        if isinstance(data.get(key), dict) and isinstance(overrides.get(key), dict):
            merged[key] = data[key] | overrides[key]
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
        case "missing" | "too_short" if example := EXAMPLES.get(str(error["loc"][-1])):
            return f"{key}: {'is missing' if error['type'] == 'missing' else 'is empty'}", f"Write {example}."
        case "missing":
            return f"{key}: is missing", f"Add {key} to {file}."
        case "model_type" | "dict_type":
            return f"{key}: must be a table", f"Write [{key}] in {file} and, below it, the keys of the table."
        case "list_type" if error["loc"] == ("permissions",):
            return f"{key}: must be an array of tables", f"Write [[permissions]], with two brackets, in {file}."
        case "string_type":
            return f"{key}: must be text; it is {error['input']!r}", "Put the value in quotes."
        case "value_error" if not key:  # the message of a validator of the whole configuration contains the key
            return message, f"Correct that key in {file}."
        case "value_error" if not isinstance(error["input"], str):  # the message of a validator of a table
            return f"{key}: {message}", hint
        case _:
            return f"{key}: {message}; it is {error['input']!r}", hint
