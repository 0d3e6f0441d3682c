"""An AWS to test deployments on: `with EmbeddedAws() as aws:` starts it inside this process."""

from .calls import Call
from .clock import Clock, Delays, ManualClock, RealClock
from .faults import ConnectionReset, Fault
from .images import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Image
from .launcher import Launcher, ProcessLauncher
from .server import EmbeddedAws
from .task_root import build_task_root

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
