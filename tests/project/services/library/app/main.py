from fastapi import APIRouter, FastAPI
from starlette.middleware.cors import CORSMiddleware
from app.api import books
from app.core.config import settings

app = FastAPI(title=settings.PROJECT_NAME, openapi_url=f"{settings.API_V1_STR}/openapi.json")
app.add_middleware(
    CORSMiddleware, allow_origins=settings.BACKEND_CORS_ORIGINS, allow_credentials=True, allow_methods=["*"],
    allow_headers=["*"],
)
api = APIRouter(prefix=settings.API_V1_STR)
api.include_router(books.router)


@api.get("/utils/health-check/")
async def health_check() -> bool:
    return True


app.include_router(api)
