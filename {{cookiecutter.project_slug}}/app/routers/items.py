"""Items in the database: create, list, read, replace, delete."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from fastapi import Path as InPath
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.db import Database
from app.models import Item

router = APIRouter(prefix="/items", tags=["items"])

UNIQUE_VIOLATION = "23505"  # https://www.postgresql.org/docs/current/errcodes-appendix.html
MAX_ID = 2**63 - 1
UNREADABLE: dict[int | str, dict[str, Any]] = {400: {"description": "The body cannot be read as JSON"}}
MISSING: dict[int | str, dict[str, Any]] = {404: {"description": "There is no item with this id"}}
TAKEN: dict[int | str, dict[str, Any]] = {409: {"description": "There is another item with this name"}}

# PostgreSQL keeps no NUL in a text; and a name of blanks is none.
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00]*[^\s\x00][^\x00]*$", examples=["screw"])]
ItemId = Annotated[int, InPath(ge=1, le=MAX_ID)]


class NewItem(BaseModel):
    model_config = ConfigDict(str_strip_whitespace=True, strict=True)  # "3" and true are no quantities

    name: Name
    quantity: Annotated[int, Field(ge=0, lt=2**31)] = 0


class StoredItem(NewItem):
    model_config = ConfigDict(from_attributes=True)

    id: int
    created_at: datetime


class Page(BaseModel):
    items: list[StoredItem]
    next: int | None = Field(description="`after` of the page that follows; null on the last one")


@router.post("", status_code=201, responses=UNREADABLE | TAKEN)
def create_item(new: NewItem, database: Database) -> StoredItem:
    item = Item(**new.model_dump())
    database.add(item)
    commit(database, new.name)
    return StoredItem.model_validate(item)


@router.get("")
def list_items(
    database: Database,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[int, Query(ge=0, le=MAX_ID)] = 0,
) -> Page:
    """Pages in the order of creation; a page is as quick to find behind a million items as behind none."""
    found = database.scalars(select(Item).where(Item.id > after).order_by(Item.id).limit(limit + 1)).all()
    return Page(
        items=[StoredItem.model_validate(item) for item in found[:limit]],
        next=found[limit - 1].id if len(found) > limit else None,
    )


@router.get("/{item_id}", responses=MISSING)
def read_item(item_id: ItemId, database: Database) -> StoredItem:
    return StoredItem.model_validate(existing(database, item_id))


@router.put("/{item_id}", responses=UNREADABLE | MISSING | TAKEN)
def replace_item(item_id: ItemId, new: NewItem, database: Database) -> StoredItem:
    item = existing(database, item_id, for_update=True)
    item.name, item.quantity = new.name, new.quantity
    commit(database, new.name)
    return StoredItem.model_validate(item)


@router.delete("/{item_id}", status_code=204, responses=MISSING)
def delete_item(item_id: ItemId, database: Database) -> None:
    database.delete(existing(database, item_id, for_update=True))
    database.commit()


def existing(database: Session, item_id: int, *, for_update: bool = False) -> Item:
    item = database.get(Item, item_id, with_for_update=for_update)
    if item is None:
        raise HTTPException(404, f"There is no item {item_id}")
    return item


def commit(database: Session, name: str) -> None:
    try:
        database.commit()
    except IntegrityError as error:
        if getattr(error.orig, "sqlstate", None) != UNIQUE_VIOLATION:
            raise
        raise HTTPException(409, f"There is an item named {name!r} already") from None
