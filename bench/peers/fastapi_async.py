"""FastAPI with pydantic, SQLAlchemy's async session and asyncpg, under uvicorn."""

import base64
import os
from datetime import UTC, datetime
from typing import Annotated

import jwt
from fastapi import Depends, FastAPI, HTTPException, Query
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import BigInteger, DateTime, ForeignKey, String, Text, func, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, joinedload, mapped_column, relationship

SECRET = os.environ["JWT_SECRET_KEY"]
engine = create_async_engine(os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://"), pool_size=8)
Sessions = async_sessionmaker(engine, expire_on_commit=False)
app = FastAPI()
Moment = DateTime(timezone=True)


def now() -> datetime:
    return datetime.now(UTC)


class Base(DeclarativeBase):
    type_annotation_map = {int: BigInteger, datetime: Moment}


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    email: Mapped[str | None] = mapped_column(String(120))
    role: Mapped[str] = mapped_column(String(20))
    is_active: Mapped[bool]
    notify_by_email: Mapped[bool]
    email_verified: Mapped[bool]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Post(Base):
    __tablename__ = "posts"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    title: Mapped[str] = mapped_column(String(200))
    content: Mapped[str] = mapped_column(Text)
    is_hidden: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)
    search_text: Mapped[str] = mapped_column(Text, deferred=True)
    user: Mapped[User] = relationship()

    @property
    def author(self) -> str:
        return self.user.name


class Account(Base):
    __tablename__ = "plain_accounts"
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    balance: Mapped[int]


class Transfer(Base):
    __tablename__ = "plain_transfers"
    id: Mapped[int] = mapped_column(primary_key=True)
    sender_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    receiver_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    amount: Mapped[int]
    memo: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=now)


class Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class UserOut(Out):
    id: int
    name: str
    email: str
    role: str
    is_active: bool
    notify_by_email: bool
    email_verified: bool
    created_at: datetime
    updated_at: datetime


class PostIn(BaseModel):
    title: str = Field(min_length=1, max_length=200)
    content: str = Field(min_length=1, max_length=50_000)


class PostOut(Out):
    id: int
    title: str
    content: str
    is_hidden: bool
    user_id: int
    author: str
    created_at: datetime
    updated_at: datetime


class Page(BaseModel):
    posts: list[PostOut]
    page: int
    per_page: int
    total: int
    pages: int
    has_more: bool


class CursorPage(BaseModel):
    posts: list[PostOut]
    per_page: int
    has_more: bool
    next_cursor: str | None


class TransferIn(BaseModel):
    receiver_id: int = Field(ge=1, le=2**63 - 1, strict=True)
    amount: int = Field(ge=1, le=10**12, strict=True)
    memo: str = Field(default="", max_length=200)


class TransferOut(Out):
    id: int
    kind: str = "transfer"
    sender_id: int
    receiver_id: int
    amount: int
    memo: str
    reverses: int | None = None
    created_at: datetime


async def session():
    async with Sessions() as opened:
        yield opened


Db = Annotated[AsyncSession, Depends(session)]


async def current_user(db: Db, sent: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> User:
    try:
        claims = jwt.decode(sent.credentials, SECRET, algorithms=["HS256"], audience="agora:access")
    except jwt.InvalidTokenError:
        raise HTTPException(401) from None
    user = await db.scalar(select(User).where(User.id == int(claims["sub"]), User.is_active))
    if user is None:
        raise HTTPException(401)
    return user


Caller = Annotated[User, Depends(current_user)]


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "healthy"}


@app.get("/auth/me", response_model=UserOut)
async def me(user: Caller):
    return user


@app.get("/api/v1/posts", response_model=Page | CursorPage)
async def posts(db: Db, page: int = 1, per_page: Annotated[int, Query(le=100)] = 20, cursor: str | None = None):
    shown = Post.is_hidden.is_(False)
    newest = select(Post).options(joinedload(Post.user)).where(shown).order_by(Post.created_at.desc(), Post.id.desc())
    if cursor is None:
        total = await db.scalar(select(func.count()).select_from(Post).where(shown))
        found = (await db.scalars(newest.limit(per_page).offset((page - 1) * per_page))).all()
        pages = -(-total // per_page)
        return Page(posts=found, page=page, per_page=per_page, total=total, pages=pages, has_more=page < pages)
    if cursor:
        moment, post_id = base64.urlsafe_b64decode(cursor).decode().split(",")
        place = tuple_(literal(datetime.fromisoformat(moment), Moment), literal(int(post_id), BigInteger))
        newest = newest.where(tuple_(Post.created_at, Post.id) < place)
    found = (await db.scalars(newest.limit(per_page + 1))).all()
    following = None
    if len(found) > per_page:
        last = found[per_page - 1]
        following = base64.urlsafe_b64encode(f"{last.created_at.isoformat()},{last.id}".encode()).decode()
    return CursorPage(posts=found[:per_page], per_page=per_page, has_more=following is not None, next_cursor=following)


@app.post("/api/v1/posts", response_model=PostOut, status_code=201)
async def create_post(sent: PostIn, user: Caller, db: Db):
    post = Post(user=user, search_text=f"{sent.title}\n{sent.content}".casefold(), **sent.model_dump())
    db.add(post)
    await db.commit()
    return post


@app.post("/api/v1/transfers", response_model=TransferOut, status_code=201)
async def transfer(sent: TransferIn, user: Caller, db: Db):
    ids = (user.id, sent.receiver_id)
    locked = select(Account).where(Account.user_id.in_(ids)).order_by(Account.user_id).with_for_update()
    accounts = {account.user_id: account for account in await db.scalars(locked)}
    if len(accounts) != 2:
        raise HTTPException(404)
    if accounts[user.id].balance < sent.amount:
        raise HTTPException(409)
    accounts[user.id].balance -= sent.amount
    accounts[sent.receiver_id].balance += sent.amount
    made = Transfer(sender_id=user.id, **sent.model_dump())
    db.add(made)
    await db.commit()
    return made
