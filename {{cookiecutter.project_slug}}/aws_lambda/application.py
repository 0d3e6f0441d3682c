"""The application that Lambda and `fastapi dev` serve. This is the only module that names the package of the service."""

from app.main import app

__all__ = ["app"]
