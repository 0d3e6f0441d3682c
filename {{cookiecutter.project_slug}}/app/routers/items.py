"""Create, list, read, replace and delete items in the database."""

# Python 3.15 imports these modules with the first request for an item, older versions with this module.
__lazy_modules__ = ["app.tables", "sqlalchemy", "sqlalchemy.exc", "sqlalchemy.orm"]

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.db import SessionDep
from app.tables import Item

router = APIRouter(prefix="/items", tags=["items"])

UNIQUE_VIOLATION = "23505"  # https://www.postgresql.org/docs/current/errcodes-appendix.html
MAX_ID = 2**63 - 1
BAD_REQUEST: dict[int | str, dict[str, Any]] = {400: {"description": "The body cannot be parsed"}}
NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"description": "The item does not exist"}}
CONFLICT: dict[int | str, dict[str, Any]] = {409: {"description": "Another item has this name"}}

# PostgreSQL cannot store NUL characters. A name needs at least one character that is not whitespace.
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00]*[^\s\x00][^\x00]*$", examples=["screw"])]
ItemId = Annotated[int, Path(ge=1, le=MAX_ID)]


class ItemIn(BaseModel):
    model_config = ConfigDict(str_strip_whitespace=True, strict=True)  # strict rejects "3" and true as a quantity

    name: Name
    quantity: Annotated[int, Field(ge=0, lt=2**31)] = 0


class ItemOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    quantity: int
    created_at: datetime


class Page(BaseModel):
    items: list[ItemOut]
    next: int | None = Field(description="`after` of the next page, or null on the last page")


@router.post("", status_code=201, responses=BAD_REQUEST | CONFLICT)
def create_item(new: ItemIn, session: SessionDep) -> ItemOut:
    item = Item(**new.model_dump())
    session.add(item)
    commit(session, new.name)
    return ItemOut.model_validate(item)


@router.get("")
def list_items(
    session: SessionDep,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[int, Query(ge=0, le=MAX_ID)] = 0,
) -> Page:
    """List items in the order of their creation."""
    # `after` uses the index of the primary key, so that the last page is as fast as the first.
    rows = session.scalars(select(Item).where(Item.id > after).order_by(Item.id).limit(limit + 1)).all()
    return Page(
        items=[ItemOut.model_validate(item) for item in rows[:limit]],
        next=rows[limit - 1].id if len(rows) > limit else None,
    )


@router.get("/{item_id}", responses=NOT_FOUND)
def read_item(item_id: ItemId, session: SessionDep) -> ItemOut:
    return ItemOut.model_validate(get_item(session, item_id))


@router.put("/{item_id}", responses=BAD_REQUEST | NOT_FOUND | CONFLICT)
def replace_item(item_id: ItemId, new: ItemIn, session: SessionDep) -> ItemOut:
    item = get_item(session, item_id, for_update=True)
    item.name, item.quantity = new.name, new.quantity
    commit(session, new.name)
    return ItemOut.model_validate(item)


@router.delete("/{item_id}", status_code=204, responses=NOT_FOUND)
def delete_item(item_id: ItemId, session: SessionDep) -> None:
    session.delete(get_item(session, item_id, for_update=True))
    session.commit()


def get_item(session: Session, item_id: int, *, for_update: bool = False) -> Item:
    """Return the item. Raise a 404 error if it does not exist."""
    item = session.get(Item, item_id, with_for_update=for_update)
    if item is None:
        raise HTTPException(404, f"Item {item_id} does not exist")
    return item


def commit(session: Session, name: str) -> None:
    """Commit the transaction. Raise a 409 error if another item has this name."""
    try:
        session.commit()
    except IntegrityError as error:
        if getattr(error.orig, "sqlstate", None) != UNIQUE_VIOLATION:
            raise
        raise HTTPException(409, f"An item named {name!r} already exists") from None
