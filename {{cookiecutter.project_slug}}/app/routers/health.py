"""Routes that tell whether the service works."""

from fastapi import APIRouter

from app.settings import get_settings

router = APIRouter(tags=["health"])


@router.get("/")
async def root() -> dict[str, bool]:
    return {"ok": True}


@router.get("/health")
async def health() -> dict[str, str]:
    """Each release must answer this request before it goes live (`smoke_path` in deploy.toml)."""
    get_settings()  # so that a release with a missing or invalid setting is rejected
    return {"status": "healthy"}
