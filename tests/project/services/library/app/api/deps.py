import secrets
from fastapi import Depends, HTTPException, status
from fastapi.security import HTTPBearer
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker

from app.core.config import settings

engine = create_engine(settings.sqlalchemy_url, pool_pre_ping=True)
SessionLocal = sessionmaker(bind=engine)


def get_db():
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()


def get_admin(credentials=Depends(HTTPBearer())):
    if not secrets.compare_digest(credentials.credentials, settings.SECRET_KEY.get_secret_value()):
        raise HTTPException(status.HTTP_403_FORBIDDEN, "Not an administrator")
