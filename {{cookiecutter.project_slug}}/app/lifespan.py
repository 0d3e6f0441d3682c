"""Start-up work of the application, once per execution environment."""

import asyncio
import os

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

{% if cookiecutter.cold_starts == 'snapstart' %}
from app.restore import on_restore

{% endif %}

class Lifespan:
{% if cookiecutter.cold_starts == 'snapstart' %}
    """Enters the application's `lifespan` after each restore and gives its state to every request.
{% else %}
    """Enters the application's `lifespan` when Lambda loads this module and gives its state to every request.
{% endif %}

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
{% if cookiecutter.cold_starts == 'snapstart' %}
            on_restore(lambda: loop.run_until_complete(self.enter()))  # no snapshot holds what it connects to
{% else %}
            loop.run_until_complete(self.enter())
{% endif %}

    async def enter(self) -> None:
        self.state.update(await self.context.__aenter__() or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = self.state.copy()
        await self.app(scope, receive, send)
