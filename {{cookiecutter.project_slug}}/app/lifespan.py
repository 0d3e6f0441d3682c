"""Start-up work of the application, once per execution environment."""

import asyncio
import os

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send


class Lifespan:
    """Enters the application's `lifespan` when Lambda loads this module and gives its state to every request.

    It is never left: Lambda does not reliably say when an environment ends.
    Outside Lambda nothing is entered here, since uvicorn and TestClient do that themselves.
    """

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self.state: dict[str, object] = {}
        self.context = app.router.lifespan_context(app)  # kept, or the garbage collector would leave it
        if os.environ.get("AWS_LAMBDA_FUNCTION_NAME"):
            loop = asyncio.new_event_loop()
            asyncio.set_event_loop(loop)  # Mangum runs requests on the loop that is set
            loop.run_until_complete(self.enter())

    async def enter(self) -> None:
        self.state.update(await self.context.__aenter__() or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = self.state.copy()
        await self.app(scope, receive, send)
