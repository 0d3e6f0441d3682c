"""An emulated AWS for the demo and the tests: `with EmbeddedAws() as aws:` starts it in this process."""

from embedded_aws.calls import Call
from embedded_aws.clock import Clock, Delays, ManualClock, RealClock
from embedded_aws.containers.task_root import build_task_root
from embedded_aws.ecr.images import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Image
from embedded_aws.faults import ConnectionReset, Fault
from embedded_aws.lambda_.launcher import Launcher, ProcessLauncher
from embedded_aws.server import EmbeddedAws

__all__ = [
    "DOCKER_MANIFEST",
    "OCI_INDEX",
    "OCI_MANIFEST",
    "Call",
    "Clock",
    "ConnectionReset",
    "Delays",
    "EmbeddedAws",
    "Fault",
    "Image",
    "Launcher",
    "ManualClock",
    "ProcessLauncher",
    "RealClock",
    "build_task_root",
]
