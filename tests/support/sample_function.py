"""A small Lambda function on the embedded AWS, for tests that call its API directly."""

import http.client
import json
import re
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded_aws.server import EmbeddedAws
from tests.support.sample_queue import wait_until

NAME = "sample"
TIMEOUT_S = 30  # the default of AWS, 3 s, may be too short on a busy machine
ECHO = "def handler(event, context):\n    return event\n"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
ALLOW_LOGS = {"Effect": "Allow", "Action": ["logs:CreateLog*", "logs:PutLogEvents"], "Resource": "*"}

HttpResponse = tuple[int, bytes, http.client.HTTPMessage]  # status, body and headers


@dataclass(frozen=True)
class InvokeResult:
    """The response of Invoke."""

    payload: Any
    error: str  # FunctionError, or "" if the invocation succeeded
    tail: list[str]  # the lines of the log tail
    version: str

    @property
    def report(self) -> dict[str, Any]:
        """The record of the platform.report event in the log tail."""
        reports = [json.loads(line) for line in self.tail if '"platform.report"' in line]
        record: dict[str, Any] = reports[-1]["record"]
        return record


class SampleFunction:
    """Create and invoke the function `sample`. Each method advances the clock until AWS has finished the change."""

    def __init__(self, aws: EmbeddedAws, folder: Path) -> None:
        self.aws = aws
        self.client = aws.client("lambda")
        self._folder = folder
        self._images = 0

    def image(self, source: str = ECHO, **options: Any) -> str:
        """Push an image whose main.py contains the source, and return its URI."""
        self._images += 1
        root = self._folder / f"image-{self._images}"
        root.mkdir()
        (root / "main.py").write_text(source)
        return self.aws.push_image(NAME, root, ["main.handler"], **options)

    def role(self, name: str = NAME, *statements: dict[str, Any], wait: bool = True) -> str:
        """Create a role that Lambda can assume and that allows the statements. Return its ARN."""
        iam = self.aws.client("iam")
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        document = {"Version": "2012-10-17", "Statement": [ALLOW_LOGS, *statements]}
        iam.put_role_policy(RoleName=name, PolicyName="may", PolicyDocument=json.dumps(document))
        if wait:
            self.wait_until_ready()
        return str(arn)

    def definition(self, source: str = ECHO, **changes: Any) -> dict[str, Any]:
        """Return parameters for CreateFunction. Push the image, and create the role if `changes` contains none."""
        role = changes.pop("Role", None) or self.role()
        return {
            "FunctionName": NAME,
            "PackageType": "Image",
            "Code": {"ImageUri": self.image(source)},
            "Role": role,
            "Architectures": ["arm64"],
            "LoggingConfig": {"LogFormat": "JSON"},
            "Timeout": TIMEOUT_S,
            **changes,
        }

    def create(self, source: str = ECHO, **changes: Any) -> None:
        """Create the function and wait until it is active."""
        self.client.create_function(**self.definition(source, **changes))
        self.wait_until_ready()

    def update(self, source: str) -> None:
        """Update the code and wait until the update is complete."""
        self.client.update_function_code(FunctionName=NAME, ImageUri=self.image(source))
        self.wait_until_ready()

    def publish(self) -> str:
        """Publish a version, wait until it is active and return its number."""
        version = self.client.publish_version(FunctionName=NAME)["Version"]
        self.wait_until_ready()
        wait_until(lambda: self.configuration(version)["State"] != "Pending")  # INIT of a snapshot takes real time
        return str(version)

    def public_url(self, source: str = ECHO, **changes: Any) -> str:
        """Create the function and its alias `live` for version 1. Return a public URL of the alias."""
        self.create(source, **changes)
        self.client.create_alias(FunctionName=NAME, Name="live", FunctionVersion=self.publish())
        url = self.client.create_function_url_config(FunctionName=NAME, Qualifier="live", AuthType="NONE")
        self.allow("url", "lambda:InvokeFunctionUrl", FunctionUrlAuthType="NONE")
        self.allow("function", "lambda:InvokeFunction", InvokedViaFunctionUrl=True)
        self.wait_until_ready()
        return str(url["FunctionUrl"])

    def allow(self, statement: str, action: str, **conditions: Any) -> None:
        """Allow everybody the action on the alias, under the conditions."""
        self.client.add_permission(
            FunctionName=NAME, Qualifier="live", StatementId=statement, Action=action, Principal="*", **conditions
        )

    def allow_service(self, statement: str, service: str, source: str) -> None:
        """Allow an AWS service to invoke the alias for the source, an ARN without the prefix `arn:aws:`."""
        self.client.add_permission(
            FunctionName=NAME,
            Qualifier="live",
            StatementId=statement,
            Action="lambda:InvokeFunction",
            Principal=service,
            SourceArn=f"arn:aws:{source}",
        )

    def invoke(self, payload: Any = None, **options: Any) -> InvokeResult:
        """Invoke the function with the payload. The options are parameters of Invoke."""
        response = self.client.invoke(
            FunctionName=NAME, Payload=json.dumps(payload or {}).encode(), LogType="Tail", **options
        )
        tail = b64decode(response["LogResult"]).decode().splitlines()
        body = json.loads(response["Payload"].read())
        return InvokeResult(body, response.get("FunctionError", ""), tail, response["ExecutedVersion"])

    def invoke_concurrently(self, count: int, payload: Any = None, **options: Any) -> list[InvokeResult]:
        """Invoke the function several times concurrently. Its handler must wait until the file `event["gate"]` exists.

        The file is created when all invocations have started.
        """
        gate = self._folder / "gate"
        gate.unlink(missing_ok=True)
        event = {**(payload or {}), "gate": str(gate)}
        before = self._started_invocations()
        with ThreadPoolExecutor(count) as pool:
            invocations = [pool.submit(self.invoke, event, **options) for _ in range(count)]
            try:
                wait_until(lambda: self._started_invocations() >= before + count)
            finally:
                gate.touch()
        return [invocation.result() for invocation in invocations]

    def _started_invocations(self) -> int:
        return sum(environment.invocations for environment in self.aws.environments(NAME))

    def wait_until_ready(self) -> None:
        """Advance the clock until every pending change in AWS is complete."""
        self.aws.clock.advance(10)

    def configuration(self, qualifier: str = "$LATEST") -> dict[str, Any]:
        """Return the configuration of a version or alias."""
        config: dict[str, Any] = self.client.get_function_configuration(FunctionName=NAME, Qualifier=qualifier)
        return config


def raises_client_error(code: str, message: str = "") -> Any:
    """Return a context that expects a ClientError with this code and with `message` in its text."""
    return pytest.raises(ClientError, match=re.escape(f"({code})") + ".*" + re.escape(message))


def send_request(
    url: str, method: str = "GET", path: str = "/", body: Any = None, headers: Any = None, **more: Any
) -> HttpResponse:
    """Send one HTTP request and return status, body and headers of the response."""
    connection = http.client.HTTPConnection(url.removeprefix("http://").rstrip("/"), timeout=60)
    connection.request(method, path, body, headers or {}, **more)
    response = connection.getresponse()
    return response.status, response.read(), response.headers


def metric_total(sample: SampleFunction, metric: str, statistic: str = "Sum", **dimensions: str) -> float:
    """Return the sum of a metric's data points from an hour before now to an hour after it."""
    now = sample.aws.clock.time()
    points = sample.aws.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=datetime.fromtimestamp(now - 3600, UTC),
        EndTime=datetime.fromtimestamp(now + 3600, UTC),
        Period=60,
        Statistics=[statistic],
    )["Datapoints"]
    return sum(float(point[statistic]) for point in points)
