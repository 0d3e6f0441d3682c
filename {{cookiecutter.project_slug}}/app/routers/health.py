"""Routes that tell whether the service works."""

from fastapi import APIRouter

from app.settings import get_settings

router = APIRouter(tags=["health"])


@router.get("/")
async def root() -> dict[str, bool]:
    return {"ok": True}


@router.get("/health")
async def health() -> dict[str, str]:
    """Tell whether the service can handle requests."""
    get_settings()  # ./deploy.sh requests this path, and so rejects a version with a missing or invalid setting
    return {"status": "healthy"}
