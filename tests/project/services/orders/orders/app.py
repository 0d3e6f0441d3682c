import contextlib
import pathlib
import uuid

import anyio
from fastapi import FastAPI, Request, BackgroundTasks
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from pydantic import BaseModel
from starlette.middleware.trustedhost import TrustedHostMiddleware

import version
from orders import errors
from orders.settings import Settings

HERE = pathlib.Path(__file__).parent


class Order(BaseModel):
    item: str
    amount: float


@contextlib.asynccontextmanager
async def lifespan(app):
    async with anyio.create_task_group() as tasks:
        app.state.counter = 0
        yield {"tasks": tasks, "stock": {"screw": 2}}
        tasks.cancel_scope.cancel()


def create_app(settings: Settings | None = None) -> FastAPI:
    settings = settings or Settings()
    app = FastAPI(title="Orders", version=version.__version__, lifespan=lifespan)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=settings.hosts)
    errors.register(app)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    templates = Jinja2Templates(HERE / "templates")

    @app.middleware("http")
    async def correlate(request, call_next):
        response = await call_next(request)
        response.headers["X-Request-ID"] = request.headers.get("x-request-id") or uuid.uuid4().hex
        return response

    @app.get("/ping")
    async def ping():
        return "pong"

    @app.post("/orders", status_code=202)
    async def create(order: Order, request: Request, tasks: BackgroundTasks):
        stock = request.state.stock
        if not stock.get(order.item):
            raise errors.OutOfStock(order.item)
        stock[order.item] -= 1

        def count():
            app.state.counter += 1

        tasks.add_task(count)
        return {"item": order.item, "currency": settings.currency, "left": stock[order.item]}

    @app.get("/orders/{id}", response_class=HTMLResponse)
    def show(request: Request, id: int):
        return templates.TemplateResponse(
            request, "order.html", {"id": id, "amount": 3, "currency": settings.currency}
        )

    @app.get("/broken")
    async def broken():
        raise KeyError("colour")

    return app
