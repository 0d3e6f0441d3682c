from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException


class OutOfStock(Exception):
    def __init__(self, item):
        self.item = item


def problem(status, title, **extra):
    return JSONResponse({"title": title, "status": status, **extra}, status, media_type="application/problem+json")


def register(app):
    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, exc):
        return problem(400, "Invalid request", errors=[".".join(map(str, e["loc"])) for e in exc.errors()])

    @app.exception_handler(StarletteHTTPException)
    async def http(request, exc):
        return problem(exc.status_code, exc.detail)

    @app.exception_handler(OutOfStock)
    async def out_of_stock(request, exc):
        return problem(409, f"{exc.item} is out of stock")

    @app.exception_handler(Exception)
    async def unexpected(request, exc):
        return problem(503, "Try again later")
