"""Is the service up?"""

from fastapi import APIRouter

router = APIRouter(tags=["health"])


@router.get("/")
async def root() -> dict[str, bool]:
    return {"ok": True}


@router.get("/health")
async def health() -> dict[str, str]:
    return {"status": "healthy"}
