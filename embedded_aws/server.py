"""An emulated AWS account in this process: one HTTP endpoint for all services."""

import contextlib
import os
import socket
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from moto.cloudwatch.models import cloudwatch_backends
from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import make_server

from embedded_aws import moto_state
from embedded_aws.api_gateway.http_api import HttpApis
from embedded_aws.boto_session import session
from embedded_aws.calls import CLIENT, DEPLOYER, Call
from embedded_aws.clock import Clock, Delays, RealClock
from embedded_aws.cloudwatch.logs import log_messages
from embedded_aws.cloudwatch.metrics import ServiceMetrics, alarm_state
from embedded_aws.ecr.folder_push import FolderPush
from embedded_aws.ecr.images import DOCKER_MANIFEST, Registry
from embedded_aws.faults import Fault, Faults, Hook, Kind
from embedded_aws.gateway import Gateway
from embedded_aws.http_server import serve, stop
from embedded_aws.iam.authorization import Need
from embedded_aws.iam.deployer import Deployer
from embedded_aws.iam.roles import Roles
from embedded_aws.in_process import send
from embedded_aws.lambda_.data_plane import DataPlane
from embedded_aws.lambda_.execution_environment import ExecutionEnvironment
from embedded_aws.lambda_.function_url_server import FunctionUrlServer
from embedded_aws.lambda_.launcher import ProcessLauncher, SnapshotLauncher
from embedded_aws.lambda_.service import LambdaService
from embedded_aws.lambda_.state import EventSourceMapping, LambdaState
from embedded_aws.moto_corrections.acm import AcmCorrections
from embedded_aws.moto_corrections.all_services import MotoCorrections
from embedded_aws.moto_corrections.api_gateway import ApiGatewayCorrections
from embedded_aws.moto_corrections.application_auto_scaling import ApplicationAutoScalingCorrections
from embedded_aws.moto_corrections.cloudwatch import CloudWatchCorrections
from embedded_aws.moto_corrections.ecr import EcrCorrections
from embedded_aws.moto_corrections.iam import IamCorrections
from embedded_aws.moto_corrections.logs import LogsCorrections
from embedded_aws.moto_corrections.scheduler import SchedulerCorrections
from embedded_aws.moto_corrections.secrets_manager import SecretsManagerCorrections
from embedded_aws.moto_corrections.sns import SnsCorrections
from embedded_aws.moto_corrections.sqs import SqsCorrections
from embedded_aws.moto_corrections.ssm import SsmCorrections
from embedded_aws.route53.public_dns import PublicDns
from embedded_aws.scheduler.scheduler import Scheduler
from embedded_aws.sqs.poller import Poller
from embedded_aws.sqs.queue_metrics import QueueMetrics
from embedded_aws.sqs.queues import Queues

ACCOUNT = "123456789012"  # the account ID of moto
ACCESS_KEY, SECRET_KEY = "AKIAEMBEDDEDAWS00000", "embedded-aws-secret-key"


_RUNNING = threading.Lock()  # held by the EmbeddedAws that runs in this process


class EmbeddedAws:
    """An emulated AWS account. Use it as a context manager: `with EmbeddedAws() as aws:`.

    A process can run only one at a time, because moto stores its state in the process. Raise RuntimeError if another
    one is running.

    `port` is the port of the endpoint on 127.0.0.1; 0 selects a free port. Raise OSError if the port is in use.
    `dns` contains the public DNS records, `confirmed` the e-mail addresses that have confirmed their subscriptions.
    """

    account = ACCOUNT

    def __init__(
        self,
        clock: Clock | None = None,
        delays: Delays | None = None,
        region: str = "us-east-1",
        launcher: SnapshotLauncher | None = None,
        *,
        registry: Registry | None = None,
        port: int = 0,
    ) -> None:
        listener = socket.create_server(("127.0.0.1", port))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.clock: Clock = clock or RealClock()
        self.delays = delays or Delays()
        self.region = region
        self.registry = registry or Registry(ACCOUNT)
        self.dns = PublicDns(ACCOUNT)
        self._faults = Faults()
        self._launcher = launcher or ProcessLauncher()
        self._roles = Roles(ACCOUNT, self.clock, self.delays)
        self._deployer = Deployer(ACCOUNT, self._roles, self._mapping)
        self._metrics = ServiceMetrics(self.clock)
        self._data_plane = DataPlane(
            self._launcher, self.registry, self._roles, self._metrics, self.delays, endpoint=self.url
        )
        self.queues = Queues(ACCOUNT, self.clock)
        self._pollers: list[Poller] = []
        self._lambda = LambdaService(
            self._new_lambda_state, self._new_url_server, self._data_plane, self.queues, self._start_poller
        )
        self._http_apis = HttpApis(ACCOUNT, self._lambda.state, self._data_plane, self._metrics, self._faults)
        self._scheduler = Scheduler(ACCOUNT, self._roles, self.queues)
        self._folder_push = FolderPush(ACCOUNT, self.registry)
        sns = SnsCorrections(ACCOUNT)
        sqs = SqsCorrections(ACCOUNT, self.clock, self.delays, self.queues)
        self.confirmed = sns.confirmed
        self._corrections = MotoCorrections(
            [
                AcmCorrections(ACCOUNT, self.clock, self.delays, self.dns),
                ApiGatewayCorrections(ACCOUNT, self._http_apis),
                ApplicationAutoScalingCorrections(ACCOUNT),
                CloudWatchCorrections(ACCOUNT, self.clock, self._metrics, QueueMetrics(self.queues, self._metrics)),
                EcrCorrections(ACCOUNT),
                IamCorrections(ACCOUNT, self._roles),
                LogsCorrections(ACCOUNT),
                SchedulerCorrections(ACCOUNT, self.clock, self.delays, self._roles),
                SecretsManagerCorrections(ACCOUNT, self.clock),
                sns,
                sqs,
                SsmCorrections(ACCOUNT),
            ]
        )
        self._gateway = Gateway(
            ACCOUNT,
            self._roles,
            self._deployer,
            self._corrections,
            sqs.wait_for_messages,
            self._lambda,
            self._data_plane,
            self._folder_push,
            self._faults,
        )
        with listener:  # the server duplicates the socket
            self._server = make_server(
                "127.0.0.1", 0, self._gateway, threaded=True, request_handler=_RequestHandler, fd=listener.fileno()
            )
        self._clients: dict[tuple[str, str], Any] = {}
        self._exit_stack = ExitStack()

    def __enter__(self) -> Self:
        """Delete the state of moto, patch moto and serve requests."""
        if not _RUNNING.acquire(blocking=False):
            self._server.server_close()
            raise RuntimeError("another EmbeddedAws is running in this process")
        with ExitStack() as stack:
            stack.callback(_RUNNING.release)
            moto_state.reset()
            stack.enter_context(self._corrections.patched())
            stack.callback(self._folder_push.close)
            stack.callback(self._launcher.close)
            stack.callback(self._join_pollers)
            stack.callback(self._data_plane.close)
            serve(self._server)
            stack.callback(stop, self._server)
            stack.callback(self._http_apis.close)
            stack.callback(self._lambda.close)
            self._exit_stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop all servers and processes, and restore moto."""
        self._exit_stack.close()

    @property
    def environ(self) -> dict[str, str]:
        """The environment variables with which a process reaches this AWS, and ignores the user's configuration."""
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
        """The calls so far, in the order of their arrival. They include those of functions (see `Call.caller`)."""
        return list(self._gateway.calls)

    @property
    def used_by_roles(self) -> set[tuple[str, str, str]]:
        """Role, action and resource of all permissions that were checked for roles of functions."""
        return set(self._roles.checked)

    def client(self, service: str, region: str | None = None) -> Any:
        """Return a boto3 client without retries."""
        key = service, region or self.region
        if key not in self._clients:
            self._clients[key] = session().client(
                service,  # type: ignore[call-overload]
                aws_access_key_id=ACCESS_KEY,
                aws_secret_access_key=SECRET_KEY,
                region_name=region or self.region,
                endpoint_url=self.url,
                config=Config(retries={"total_max_attempts": 1}, read_timeout=960),
            )
        return self._clients[key]

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        """Return the response to a request of a client in this process, without a network connection."""
        return send(self._gateway, request)

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
        """Store an image that runs this task root in ECR. Return its URI with the digest.

        Create the repository if it does not exist.
        """
        command = command or ["aws_lambda.handler.handler"]
        return self.registry.push(region or self.region, repository, task_root, command, architecture, tag, media_type)

    def docker_push(self, repository: str, task_root: Path, tag: str, media_type: str = DOCKER_MANIFEST) -> str:
        """Push an image as the deployer. Raise PermissionError if the role that it acts as does not allow that."""
        if denied := self._deployer.first_denied(self._deployer.authorization.push(self.region, repository)):
            raise PermissionError(f"denied: {denied.action} on {denied.resource}")
        return self.push_image(repository, task_root, tag=tag, media_type=media_type)

    def acting_as(self, role: str) -> AbstractContextManager[list[Need]]:
        """Restrict the deployer to the permissions of a role (its ARN). Yield the list of all checked permissions."""
        return self._deployer.acting_as(role)

    def deny(self, action: str, caller: str = DEPLOYER) -> Fault:
        """Respond with AccessDenied to all calls that need this IAM action, such as "lambda:Create*"."""
        return self._faults.add(Fault(action, "deny", times=None, caller=caller))

    def fail(
        self,
        action: str = "*",
        kind: Kind = "server_error",
        *,
        call: int = 1,
        times: int | None = 1,
        caller: str = DEPLOYER,
    ) -> Fault:
        """Let `times` calls fail that match `action`, beginning with the call number `call`.

        `caller` is DEPLOYER, POLLER for the calls of event source mappings, or the ARN of a function's role.
        """
        return self._faults.add(Fault(action, kind, call, times, caller))

    def fail_requests(self, kind: Kind, *, request: int = 1, times: int | None = 1) -> Fault:
        """Let `times` requests to public URLs fail, beginning with the request number `request`."""
        return self._faults.add(Fault("url:*", kind, request, times, caller=CLIENT))

    def clear_faults(self) -> None:
        """Remove all faults. Hooks stay."""
        self._faults.clear()

    def hook(self, hook: Hook) -> Callable[[], None]:
        """Call `hook(call, number, "before" | "after")` around each call of the deployer, with numbers from 1.

        Return a function that removes the hook.
        """
        self._faults.hooks.append(hook)
        return lambda: self._faults.hooks.remove(hook)

    def run_schedule(self, name: str, scheduled_at: str, group: str = "default") -> dict[str, Any]:
        """Run a schedule as EventBridge does at its time. Do nothing if it is disabled.

        Return the response of Lambda, or the ID of the message as MessageId. Raise AwsError if the target refuses it.
        """
        return self._scheduler.run(self.region, group, name, scheduled_at, self._lambda.invocations(self.region))

    def set_state(self, function: str, qualifier: str, state: str, reason_code: str = "") -> None:
        """Report this state of a version, even if AWS does not document it, until it is set to an empty string."""
        functions = self.lambda_state()
        with functions.lock:
            version = functions.version(functions.functions[function], qualifier)
            version.override = {"State": state, "StateReasonCode": reason_code} if state else {}

    def fail_snapshot_regeneration(self, function: str, qualifier: str) -> None:
        """Let the version fail as if AWS had changed its runtime and could not replace its snapshot."""
        state = self.lambda_state()
        with state.lock:
            state.version(state.functions[function], qualifier).regeneration_failed = True

    def alarm_fires(self, name: str, region: str | None = None) -> bool:
        """Return True if the current metrics put the alarm in state ALARM."""
        backend = cloudwatch_backends[ACCOUNT][region or self.region]
        return alarm_state(backend, backend.alarms[name], self.clock.time()) == "ALARM"

    def log_messages(self, group: str, region: str | None = None) -> list[str]:
        """Return all messages of a log group in the order of their timestamps."""
        return log_messages(ACCOUNT, region or self.region, group)

    def environments(self, function: str | None = None) -> list[ExecutionEnvironment]:
        """Return the current execution environments of one function, or of all functions."""
        return self._data_plane.environments(function)

    def lambda_state(self, region: str | None = None) -> LambdaState:
        """Return the state of Lambda, in which tests set limits such as `account_concurrency`."""
        return self._lambda.state(region or self.region)

    def _new_lambda_state(self, region: str) -> LambdaState:
        return LambdaState(ACCOUNT, region, self.clock, self.delays, self.registry, self._roles)

    def _mapping(self, region: str, uuid: str) -> EventSourceMapping | None:
        return self._lambda.state(region).mappings.get(uuid)

    def _start_poller(self, mapping: EventSourceMapping, state: LambdaState) -> Poller:
        poller = Poller(mapping, state, self.queues, self._data_plane, self._faults)
        self._pollers.append(poller)
        return poller

    def _join_pollers(self) -> None:
        for poller in self._pollers:
            poller.close()
        for poller in self._pollers:
            poller.join()

    def _new_url_server(self, state: LambdaState) -> FunctionUrlServer:
        keys = {ACCESS_KEY: SECRET_KEY}
        return FunctionUrlServer(
            state, self._data_plane, self._metrics, keys, self._deployer.first_denied, self._faults
        )


class _RequestHandler(MotoRequestHandler):
    """Handle the requests of one connection."""

    def handle(self) -> None:
        """Ignore a connection that a fault has reset."""
        with contextlib.suppress(OSError):
            super().handle()

    def log(self, type: str, message: str, *args: Any) -> None:
        """Write no access log."""
