from fastapi import APIRouter, Depends, HTTPException, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import IntegrityError

from app.api.deps import get_admin, get_db
from app.models import Book

router = APIRouter(prefix="/books", tags=["books"])


class BookIn(BaseModel):
    title: str = Field(max_length=200)
    isbn: str | None = None


class BookOut(BookIn):
    model_config = ConfigDict(from_attributes=True)
    id: int


@router.get("/", response_model=list[BookOut])
def read_books(db=Depends(get_db), skip: int = 0, limit: int = 100):
    return db.query(Book).order_by(Book.id).offset(skip).limit(limit).all()


@router.post("/", response_model=BookOut, status_code=201, dependencies=[Depends(get_admin)])
def create_book(book: BookIn, response: Response, db=Depends(get_db)):
    row = Book(**book.dict())
    db.add(row)
    try:
        db.commit()
    except IntegrityError:
        raise HTTPException(409, "The ISBN exists")
    response.set_cookie("last_book", str(row.id), httponly=True)
    response.headers["Location"] = f"/api/v1/books/{row.id}"
    return row


@router.get("/{id}", response_model=BookOut)
def read_book(id: int, db=Depends(get_db)):
    if not (book := db.get(Book, id)):
        raise HTTPException(404, "Book not found")
    return book
