"""Start the application once per execution environment.

Mangum can only start and stop it for each request (https://github.com/Kludex/mangum/issues/342).
"""

import asyncio
import atexit
import logging
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

ASGI_VERSION = {"version": "3.0", "spec_version": "2.0"}
EXIT_TIMEOUT_S = 1  # for the end of the lifespan after a shutdown message or a reported failure

logger = logging.getLogger(__name__)

_event_loop: asyncio.AbstractEventLoop | None = None  # all requests of an execution environment use the same loop


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Create the event loop of all requests. Replace an earlier one, whose timers and sockets may be out of date."""
    global _event_loop
    if _event_loop and not _event_loop.is_closed() and not asyncio.all_tasks(_event_loop):
        _event_loop.close()
    _event_loop = asyncio.new_event_loop()
    return _event_loop


def use_event_loop() -> None:
    """Make this event loop the current one, which Mangum uses.

    asyncio.run(), for example in a job, resets the current loop, and asyncio.get_event_loop() then raises RuntimeError.
    """
    asyncio.set_event_loop(_event_loop or new_event_loop())


class LifespanError(Exception):
    """The application reported that its start-up failed."""


class Lifespan:
    """ASGI middleware that sends the lifespan messages and gives the state of the lifespan to each request."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.state: dict[str, Any] = {}
        self.task: asyncio.Task[None] | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.stopping = asyncio.Event()

    def start(self) -> None:
        """Run the application until its start-up is complete. Raise its exception, or LifespanError, if that fails."""
        self.loop = new_event_loop()
        self.loop.run_until_complete(self._start())
        atexit.register(self.stop)

    def stop(self) -> None:
        """Stop the application. Lambda ends the process without notice, so this runs only elsewhere, such as in tests."""
        if self.loop and not self.loop.is_closed():
            self.loop.run_until_complete(self._stop())
            self.loop.close()

    async def _start(self) -> None:
        requested = False
        failure: str | None = None
        ready = asyncio.Event()

        async def receive() -> Message:
            nonlocal requested
            if requested:
                await self.stopping.wait()
                return {"type": "lifespan.shutdown"}
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
            self.task.add_done_callback(self._log_error)

    async def _stop(self) -> None:
        """Send the shutdown message and wait until the lifespan has ended, but not for long."""
        self.stopping.set()
        if self.task:
            await asyncio.wait([self.task], timeout=EXIT_TIMEOUT_S)

    def _log_error(self, task: "asyncio.Task[None]") -> None:
        """Log an exception that ends the lifespan while the application runs, such as one in its TaskGroup."""
        if not self.stopping.is_set() and not task.cancelled() and (error := task.exception()):
            logger.error("The lifespan of the application failed", exc_info=error)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the application, with a copy of the state."""
        scope["state"] = self.state.copy()
        await self.app(scope, receive, send)
