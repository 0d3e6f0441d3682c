from typing import List

from pydantic import AliasChoices, Field, PostgresDsn, SecretStr, computed_field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore", case_sensitive=True)

    PROJECT_NAME: str
    API_V1_STR: str = "/api/v1"
    SECRET_KEY: SecretStr = Field(min_length=8)
    BACKEND_CORS_ORIGINS: List[str] = []
    DATABASE_URL: PostgresDsn = Field(validation_alias=AliasChoices("DATABASE_URL", "POSTGRES_URL"))

    @computed_field
    @property
    def sqlalchemy_url(self) -> str:
        return str(self.DATABASE_URL).replace("postgresql://", "postgresql+psycopg://")


settings = Settings()
