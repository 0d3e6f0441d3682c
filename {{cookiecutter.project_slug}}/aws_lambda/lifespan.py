"""Start the application once per execution environment.

Mangum can only start and stop it for each request (https://github.com/Kludex/mangum/issues/342).
"""

import asyncio
import logging
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

ASGI_VERSION = {"version": "3.0", "spec_version": "2.0"}
EXIT_TIMEOUT_S = 1  # for the application to raise its exception after it reported a failure

logger = logging.getLogger(__name__)

_event_loop: asyncio.AbstractEventLoop | None = None  # all requests of an execution environment use the same loop


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Replace the event loop. Environments restored from the same image must not share the loop's file descriptors."""
    global _event_loop
    if _event_loop:
        _event_loop.close()
    _event_loop = asyncio.new_event_loop()
    return _event_loop


def use_event_loop() -> None:
    """Make the event loop the current one, which Mangum uses. asyncio.run() and a fork reset the current loop."""
    asyncio.set_event_loop(_event_loop or new_event_loop())


class LifespanError(Exception):
    """The application reported that its start-up failed."""


class Lifespan:
    """ASGI middleware that sends the lifespan message and gives the state of the lifespan to each request.

    The application is never stopped: Lambda does not reliably announce the end of an execution environment.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.state: dict[str, Any] = {}
        self.task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Run the application until its start-up is complete. Raise its exception, or LifespanError, if that fails."""
        new_event_loop().run_until_complete(self._start())

    async def _start(self) -> None:
        requested = False
        failure: str | None = None
        ready = asyncio.Event()

        async def receive() -> Message:
            nonlocal requested
            if requested:
                await asyncio.Event().wait()  # wait forever, because Lambda announces no shutdown
            requested = True
            return {"type": "lifespan.startup"}

        async def send(message: Message) -> None:
            nonlocal failure
            if message["type"] == "lifespan.startup.failed":
                failure = message.get("message", "")
            ready.set()

        async def run() -> None:
            await self.app({"type": "lifespan", "asgi": ASGI_VERSION, "state": self.state}, receive, send)

        # A TaskGroup or a connection pool of the lifespan lives as long as this task.
        self.task = asyncio.create_task(run())
        self.task._log_destroy_pending = False  # type: ignore[attr-defined]  # no warning when the process ends
        self.task.add_done_callback(lambda task: ready.set())
        await ready.wait()
        if failure is not None:
            await asyncio.wait([self.task], timeout=EXIT_TIMEOUT_S)
        if self.task.done():
            error = self.task.exception()
            if error and requested:  # otherwise the application does not support the lifespan protocol
                raise error
        if failure is not None:
            raise LifespanError(failure)
        if not self.task.done():
            self.task.add_done_callback(log_error)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the application, with a copy of the state."""
        scope["state"] = self.state.copy()
        await self.app(scope, receive, send)


def log_error(task: "asyncio.Task[None]") -> None:
    """Log an exception that ends the lifespan after the start-up, such as one in its TaskGroup."""
    if not task.cancelled() and (error := task.exception()):
        logger.error("The lifespan of the application failed", exc_info=error)
