"""Write the output of a function and Lambda's own records to CloudWatch Logs, and keep the tail for Invoke."""

import json
import uuid
from datetime import UTC, datetime
from typing import Any

from moto.logs.models import logs_backends

from embedded_aws.clock import Clock
from embedded_aws.iam.roles import Roles
from embedded_aws.lambda_.deployed_version import DeployedVersion
from embedded_aws.moto_state import moto_lock

LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
TAIL_BYTES = 4096


class LogStream:
    """The log stream of one execution environment."""

    def __init__(self, account: str, region: str, clock: Clock, roles: Roles, deployed: DeployedVersion) -> None:
        self._clock = clock
        self._backend = logs_backends[account][region]
        self._roles = roles
        self._role: str = deployed.config["Role"]
        logging = deployed.config["LoggingConfig"]
        self.group: str = logging["LogGroup"]
        self._arn = f"arn:aws:logs:{region}:{account}:log-group:{self.group}:log-stream:*"
        self.json: bool = logging["LogFormat"] == "JSON"
        self.level: str = logging.get("ApplicationLogLevel", "")
        self._system_level: str = logging.get("SystemLogLevel", "INFO")
        day = datetime.fromtimestamp(clock.time(), UTC).strftime("%Y/%m/%d")
        self.name = f"{day}/[{deployed.version}]{uuid.uuid4().hex}"
        self._tail = bytearray()
        self._writable: bool | None = None

    def write_line(self, text: str) -> None:
        """Write a line of the function's output. Drop JSON lines below the application log level."""
        if text and self._is_enabled(text):
            self._put(text)

    def write_record(self, kind: str, record: dict[str, Any], level: str, text: str = "") -> None:
        """Write one of Lambda's own records.

        In the JSON format, write it if the system log level includes `level`. In the text format, write `text`.
        """
        if self.json:
            if LEVELS.index(level) >= LEVELS.index(self._system_level):
                message = {"time": self._timestamp(), "type": kind, "record": record}
                self._put(json.dumps(message, separators=(",", ":")))
        elif text:
            self._put(text)

    def take_tail(self) -> bytes:
        """Return the last 4 KB written since the previous call."""
        tail = bytes(self._tail[-TAIL_BYTES:])
        self._tail.clear()
        return tail

    def _is_enabled(self, text: str) -> bool:
        if not self.json or not text.startswith("{"):
            return True
        try:
            level = str(json.loads(text).get("level", "INFO")).upper()
        except (ValueError, AttributeError):
            return True
        level = {"WARNING": "WARN", "CRITICAL": "FATAL"}.get(level, level)
        return level not in LEVELS or LEVELS.index(level) >= LEVELS.index(self.level)

    def _put(self, message: str) -> None:
        self._tail += message.encode() + b"\n"
        with moto_lock:
            if self._open():
                event = {"timestamp": int(self._clock.time() * 1000), "message": message}
                self._backend.groups[self.group].put_log_events(self.name, [event])

    def _open(self) -> bool:
        """Create the log group and stream if the role allows it. Return False if lines cannot be written."""
        if self._writable is None:
            self._writable = self._is_allowed("CreateLogStream") and self._is_allowed("PutLogEvents")
            if self.group not in self._backend.groups:
                self._writable = self._writable and self._is_allowed("CreateLogGroup")
                if self._writable:
                    self._backend.create_log_group(self.group, {})
        if not self._writable or self.group not in self._backend.groups:
            return False
        if self.name not in self._backend.groups[self.group].streams:  # also if the group was deleted and created again
            self._backend.create_log_stream(self.group, self.name)
        return True

    def _is_allowed(self, action: str) -> bool:
        return self._roles.allow(self._role, f"logs:{action}", self._arn)

    def _timestamp(self) -> str:
        return datetime.fromtimestamp(self._clock.time(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def log_messages(account: str, region: str, group: str) -> list[str]:
    """Return all messages of a log group in the order of their timestamps, or none if it does not exist."""
    log_group: Any = logs_backends[account][region].groups.get(group)
    streams = list(log_group.streams.values()) if log_group else []  # copied, because functions may be writing
    events = [event for stream in streams for event in list(stream.events)]
    return [event.message for event in sorted(events, key=lambda event: event.timestamp)]
