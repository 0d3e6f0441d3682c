"""A small function to try the embedded AWS with, for the embedded AWS's own tests."""

import http.client
import json
import re
from base64 import b64decode
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded_aws.server import EmbeddedAws

NAME = "sample"
ECHO = "def handler(event, context):\n    return event\n"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
MAY_LOG = {"Effect": "Allow", "Action": ["logs:CreateLog*", "logs:PutLogEvents"], "Resource": "*"}


HttpResponse = tuple[int, bytes, http.client.HTTPMessage]


@dataclass(frozen=True)
class InvokeResult:
    """What Invoke answered."""

    payload: Any
    error: str
    tail: list[str]
    version: str

    @property
    def report(self) -> dict[str, Any]:
        """The record of platform.report."""
        reports = [json.loads(line) for line in self.tail if '"platform.report"' in line]
        record: dict[str, Any] = reports[-1]["record"]
        return record


class SampleFunction:
    """Makes the function, its versions, alias and URL, moving the clock past every delay."""

    def __init__(self, aws: EmbeddedAws, folder: Path) -> None:
        self.aws = aws
        self.client = aws.client("lambda")
        self._folder = folder
        self._images = 0

    def image(self, source: str = ECHO, **options: Any) -> str:
        """A pushed image whose main.py holds this source."""
        self._images += 1
        root = self._folder / f"image-{self._images}"
        root.mkdir()
        (root / "main.py").write_text(source)
        return self.aws.push_image(NAME, root, ["main.handler"], **options)

    def role(self, name: str = NAME, *statements: dict[str, Any], wait: bool = True) -> str:
        iam = self.aws.client("iam")
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        document = {"Version": "2012-10-17", "Statement": [MAY_LOG, *statements]}
        iam.put_role_policy(RoleName=name, PolicyName="may", PolicyDocument=json.dumps(document))
        if wait:
            self.wait_until_ready()
        return str(arn)

    def definition(self, source: str = ECHO, **changes: Any) -> dict[str, Any]:
        """CreateFunction's parameters. Makes the image and, unless given, the role."""
        role = changes.pop("Role", None) or self.role()
        return {
            "FunctionName": NAME,
            "PackageType": "Image",
            "Code": {"ImageUri": self.image(source)},
            "Role": role,
            "Architectures": ["arm64"],
            "LoggingConfig": {"LogFormat": "JSON"},
            **changes,
        }

    def create(self, source: str = ECHO, **changes: Any) -> None:
        self.client.create_function(**self.definition(source, **changes))
        self.wait_until_ready()

    def update(self, source: str) -> None:
        self.client.update_function_code(FunctionName=NAME, ImageUri=self.image(source))
        self.wait_until_ready()

    def publish(self) -> str:
        version = self.client.publish_version(FunctionName=NAME)["Version"]
        self.wait_until_ready()
        return str(version)

    def public_url(self, source: str = ECHO, **changes: Any) -> str:
        """The URL of alias `live`, which is version 1, open to everybody."""
        self.create(source, **changes)
        self.client.create_alias(FunctionName=NAME, Name="live", FunctionVersion=self.publish())
        url = self.client.create_function_url_config(FunctionName=NAME, Qualifier="live", AuthType="NONE")
        self.allow("url", "lambda:InvokeFunctionUrl", FunctionUrlAuthType="NONE")
        self.allow("function", "lambda:InvokeFunction", InvokedViaFunctionUrl=True)
        return str(url["FunctionUrl"])

    def allow(self, statement: str, action: str, **conditions: Any) -> None:
        self.client.add_permission(
            FunctionName=NAME, Qualifier="live", StatementId=statement, Action=action, Principal="*", **conditions
        )

    def allow_service(self, statement: str, service: str, source: str) -> None:
        """Lets this of AWS's services invoke the alias for that source, an ARN without its arn:aws:."""
        self.client.add_permission(
            FunctionName=NAME,
            Qualifier="live",
            StatementId=statement,
            Action="lambda:InvokeFunction",
            Principal=service,
            SourceArn=f"arn:aws:{source}",
        )

    def invoke(self, payload: Any = None, **options: Any) -> InvokeResult:
        answer = self.client.invoke(
            FunctionName=NAME, Payload=json.dumps(payload or {}).encode(), LogType="Tail", **options
        )
        tail = b64decode(answer["LogResult"]).decode().splitlines()
        body = json.loads(answer["Payload"].read())
        return InvokeResult(body, answer.get("FunctionError", ""), tail, answer["ExecutedVersion"])

    def wait_until_ready(self) -> None:
        """Lets enough time pass for everything that is under way at AWS."""
        self.aws.clock.advance(10)

    def configuration(self, qualifier: str = "$LATEST") -> dict[str, Any]:
        found: dict[str, Any] = self.client.get_function_configuration(FunctionName=NAME, Qualifier=qualifier)
        return found


def raises_client_error(code: str, message: str = "") -> Any:
    """Expects an error with this code and, somewhere in its message, these words."""
    return pytest.raises(ClientError, match=re.escape(f"({code})") + ".*" + re.escape(message))


def send_request(
    url: str, method: str = "GET", path: str = "/", body: Any = None, headers: Any = None, **more: Any
) -> HttpResponse:
    """Status, body and headers of one HTTP request."""
    connection = http.client.HTTPConnection(url.removeprefix("http://").rstrip("/"), timeout=10)
    connection.request(method, path, body, headers or {}, **more)
    response = connection.getresponse()
    return response.status, response.read(), response.headers


def metric_total(sample: SampleFunction, metric: str, statistic: str = "Sum", **dimensions: str) -> float:
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
