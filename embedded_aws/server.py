"""AWS inside this process: moto for most services, Lambda's control and data plane of our own, one endpoint for all."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from moto.cloudwatch.models import cloudwatch_backends
from moto.core.base_backend import BackendDict
from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.exceptions import NotFound
from werkzeug.serving import BaseWSGIServer, make_server

from embedded_aws.api_gateway.http_api import HttpApis
from embedded_aws.calls import DEPLOYER, Call
from embedded_aws.clock import Clock, Delays, RealClock
from embedded_aws.cloudwatch.metrics import LambdaMetrics, alarm_state
from embedded_aws.ecr.images import DOCKER_MANIFEST, Registry
from embedded_aws.faults import Fault, Hook, Kind
from embedded_aws.gateway import Gateway
from embedded_aws.http_server import serve
from embedded_aws.iam.authorization import Need
from embedded_aws.iam.roles import Roles
from embedded_aws.in_process import answer
from embedded_aws.lambda_.aliases import Aliases
from embedded_aws.lambda_.api import LambdaApi
from embedded_aws.lambda_.data_plane import DataPlane
from embedded_aws.lambda_.execution_environment import ExecutionEnvironment
from embedded_aws.lambda_.function_url_server import FunctionUrlServer
from embedded_aws.lambda_.function_urls import FunctionUrls
from embedded_aws.lambda_.functions import Functions
from embedded_aws.lambda_.invocations import Invocations
from embedded_aws.lambda_.launcher import ProcessLauncher, SnapshotLauncher
from embedded_aws.lambda_.permissions import Permissions
from embedded_aws.lambda_.provisioned_concurrency import ProvisionedConcurrency
from embedded_aws.lambda_.settings import Settings
from embedded_aws.lambda_.state import LambdaState
from embedded_aws.moto_corrections import corrections as moto_corrections
from embedded_aws.moto_corrections.api_gateway import ApiGateway
from embedded_aws.route53.public_dns import PublicDns
from embedded_aws.scheduler.scheduler import Scheduler

ACCOUNT = "123456789012"
ACCESS_KEY, SECRET_KEY = "AKIAEMBEDDEDAWS00000", "embedded-aws-secret-key"


class EmbeddedAws:
    """Use as a context manager. One at a time in a process, since moto keeps its state in the process."""

    account = ACCOUNT

    def __init__(
        self,
        clock: Clock | None = None,
        delays: Delays | None = None,
        region: str = "us-east-1",
        launcher: SnapshotLauncher | None = None,
    ) -> None:
        self.clock: Clock = clock or RealClock()
        self.delays = delays or Delays()
        self.region = region
        self.registry = Registry(ACCOUNT)
        self.dns = PublicDns(ACCOUNT)
        self._launcher = launcher or ProcessLauncher()
        self._roles = Roles(ACCOUNT, self.clock, self.delays)
        self._apis: dict[str, LambdaApi] = {}
        self._urls: dict[str, FunctionUrlServer] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        BackendDict.reset()
        self._corrected = moto_corrections.applied(self.dns)
        self._corrected.__enter__()
        self._metrics = LambdaMetrics(self.clock)
        gateway = ApiGateway(ACCOUNT, self._open_http_api, self._close_http_api)
        self._scheduler = Scheduler(ACCOUNT, self._roles)
        more = {**gateway.corrections, **self._scheduler.corrections}
        corrections = moto_corrections.Corrections(ACCOUNT, self.clock, more)
        self.confirmed = corrections.confirmed
        self._front = Gateway(ACCOUNT, self._roles, corrections, self._lambda_api, self._role_of, self._credentials_of)
        self._server = _endpoint()
        self._server.app = self._front
        self._data_plane = DataPlane(self._launcher, self.registry, self._roles, self._metrics, self.delays, self.url)
        self._http_apis = HttpApis(ACCOUNT, self.lambda_state, self._data_plane, self._metrics)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for urls in self._urls.values():
            urls.close()
        self._http_apis.close()
        self._server.app = NotFound()
        self._data_plane.close()
        self._launcher.close()
        LambdaMetrics.current = None
        self._corrected.__exit__(None, None, None)

    @property
    def url(self) -> str:
        """The endpoint of every service."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def environ(self) -> dict[str, str]:
        """What a child process needs in its environment to reach this AWS and nothing of the user's."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @property
    def calls(self) -> list[Call]:
        """Every call so far, in order, the functions' own calls included (`caller`)."""
        return list(self._front.calls)

    @property
    def used_by_roles(self) -> set[tuple[str, str, str]]:
        """Role, action, resource of all that running functions did, or tried, and that Lambda did for them."""
        return set(self._roles.checked)

    @contextlib.contextmanager
    def acting_as(self, role: str) -> Iterator[list[Need]]:
        """The deployer may do what this role (its ARN) may, and no more; gives all that was asked of it."""
        self._front.acting_as, self._front.needed = role, []
        try:
            yield self._front.needed
        finally:
            self._front.acting_as = None

    def docker_push(self, repository: str, task_root: Path, tag: str) -> str:
        """What push_image does, as the deployer: raises PermissionError when its role must not push there."""
        if refused := self._front.permits(self._front.authorization.push(self.region, repository)):
            raise PermissionError(f"denied: {refused.action} on {refused.resource}")
        return self.push_image(repository, task_root, tag=tag)

    def client(self, service: str, region: str | None = None) -> Any:
        """A boto3 client that never retries."""
        return _client(service, region or self.region, self.url)

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        """The answer to a request that a client in this process would send to `url`."""
        return answer(self._front, request)

    def deny(self, action: str, caller: str = DEPLOYER) -> Fault:
        """From now on answers AccessDenied to calls that need this IAM action ("lambda:Create*" will do)."""
        return self._front.faults.add(Fault(action, "deny", times=None, caller=caller))

    def fail(self, action: str = "*", kind: Kind = "server_error", *, call: int = 1, times: int | None = 1) -> Fault:
        """Lets the `call`-th of the deployer's matching calls from now on fail, and the `times` - 1 after it."""
        return self._front.faults.add(Fault(action, kind, call, times))

    def hook(self, hook: Hook) -> Callable[[], None]:
        """Calls hook(call, number, "before" | "after") around each of the deployer's calls; number counts from 1.

        Returns what takes the hook away again.
        """
        self._front.faults.hooks.append(hook)
        return lambda: self._front.faults.hooks.remove(hook)

    def clear_faults(self) -> None:
        """Lets every call succeed again. Hooks stay."""
        self._front.faults.clear()

    def push_image(
        self,
        repository: str,
        task_root: Path,
        command: list[str] | None = None,
        architecture: str = "arm64",
        *,
        tag: str | None = None,
        media_type: str = DOCKER_MANIFEST,
        region: str | None = None,
    ) -> str:
        """Puts an image that runs this task root into the embedded ECR. Returns its URI with the digest."""
        command = command or ["aws_lambda.handler.handler"]
        return self.registry.push(region or self.region, repository, task_root, command, architecture, tag, media_type)

    def run_schedule(self, name: str, scheduled_at: str) -> dict[str, Any]:
        """Does what EventBridge does when a schedule is due; Lambda's answer. Raises AwsError if it may not."""
        invocations = Invocations(self.lambda_state(), self._data_plane)
        return self._scheduler.run(self.region, name, scheduled_at, invocations)

    def alarm_fires(self, name: str, region: str | None = None) -> bool:
        """True when the alarm's own definition, applied to the metrics there are, says ALARM."""
        backend = cloudwatch_backends[ACCOUNT][region or self.region]
        return alarm_state(backend, backend.alarms[name], self.clock.time()) == "ALARM"

    def log_messages(self, group: str, region: str | None = None) -> list[str]:
        """Every message in a log group, in order of time."""
        return moto_corrections.log_messages(ACCOUNT, region or self.region, group)

    def environments(self, function: str | None = None) -> list[ExecutionEnvironment]:
        """The execution environments there are now, of one function or of all."""
        return self._data_plane.environments(function)

    def lambda_state(self, region: str | None = None) -> LambdaState:
        """What Lambda knows, for tests that set limits such as `account_concurrency`."""
        return self._lambda_api(region or self.region).state

    def _open_http_api(self, region: str, api_id: str) -> str:
        return self._http_apis.open(region, api_id)

    def _close_http_api(self, api_id: str) -> None:
        self._http_apis.close(api_id)

    def _role_of(self, access_key: str) -> str | None:
        return self._data_plane.role_of(access_key)

    def _credentials_of(self, token: str) -> dict[str, str] | None:
        return self._data_plane.credentials(token)

    def _lambda_api(self, region: str) -> LambdaApi:
        with self._lock:
            if region not in self._apis:
                self._apis[region] = self._new_lambda_api(region)
            return self._apis[region]

    def _new_lambda_api(self, region: str) -> LambdaApi:
        state = LambdaState(
            ACCOUNT, region, self.clock, self.delays, self.registry, self._roles.can_assume, self._roles.allow
        )
        plane = self._data_plane
        keys = {ACCESS_KEY: SECRET_KEY}
        urls = FunctionUrlServer(state, plane, self._metrics, lambda: keys, self._front.permits)
        self._urls[region] = urls
        groups = (
            Functions(state, plane.forget, plane.take_snapshot),
            Aliases(state),
            Permissions(state),
            Settings(state),
            FunctionUrls(state, urls.open),
            ProvisionedConcurrency(state, plane),
            Invocations(state, plane),
        )
        return LambdaApi(state, groups)


@cache
def _client(service: Any, region: str, url: str) -> Any:
    return moto_corrections.session().client(
        service,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        region_name=region,
        endpoint_url=url,
        config=Config(retries={"total_max_attempts": 1}, read_timeout=960),
    )


@cache
def _endpoint() -> BaseWSGIServer:
    """Listens as long as this process lives, so that clients for one embedded AWS reach the next one too."""
    server = make_server("127.0.0.1", 0, NotFound(), threaded=True, request_handler=_Handler)
    serve(server)
    return server


class _Handler(MotoRequestHandler):
    def handle(self) -> None:
        with contextlib.suppress(OSError):  # a connection that a fault has broken
            super().handle()

    def log(self, type: str, message: str, *args: Any) -> None:
        """Nobody reads werkzeug's access log."""
