from fastapi import FastAPI
from mangum import Mangum
from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    stage: str = "prod"


settings = Settings()
app = FastAPI()


@app.get("/")
def root() -> dict[str, bool]:
    return {"ok": True}


handler = Mangum(app, lifespan="off")
