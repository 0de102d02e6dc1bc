"""The rules of posts."""

from collections.abc import Mapping
from typing import Any, TypedDict, Unpack

from sqlalchemy import bindparam, delete, insert, or_, select

from app.audit import service as audit
from app.core.caller import ANONYMOUS, Caller
from app.core.db.base import Query, Record, table_of
from app.core.db.prepared import prepared
from app.core.rows import apply_changes, one_or_not_found
from app.core.unit_of_work import execute
from app.extensions import db
from app.posts.models import Post
from app.users.models import User
from app.users.service import get_user

MODERATE = "post:moderate"

OWN = (Post.id, Post.title, Post.content, Post.is_hidden, Post.user_id, Post.created_at, Post.updated_at)
ALL = select(*OWN, User.name.label("author")).outerjoin(User, User.id == Post.user_id)
PUBLIC = prepared(ALL.where(Post.is_hidden.is_(False)))
# Built once: building one takes as long as executing it.
ANY_POST = prepared(ALL.where(Post.id == bindparam("post_id")))
SEEN_POST = prepared(ANY_POST.where(or_(Post.is_hidden.is_(False), Post.user_id == bindparam("caller_id"))))
NEW_POST = prepared(insert(table_of(Post)).returning(*(table_of(Post).c[column.key] for column in OWN)))


class PostChanges(TypedDict, total=False):
    """The fields of a post that its author or a moderator may change."""

    title: str
    content: str
    is_hidden: bool


def list_posts(caller: Caller) -> Query:
    """Return the query of the posts that ``caller`` may see: all but the hidden ones of others; moderators see all."""
    if caller.may(MODERATE):
        return ALL
    if caller is ANONYMOUS:
        return PUBLIC
    return ALL.where(or_(Post.is_hidden.is_(False), Post.user_id == caller.id))


def list_posts_of(caller: Caller, user_id: int) -> Query:
    """Return the query of one member's posts. Raises NotFound for a member whom ``caller`` may not see."""
    get_user(caller, user_id)
    return list_posts(caller).where(Post.user_id == user_id)


def get_post(caller: Caller, post_id: int) -> Record:
    """Return a post. Raises NotFound for one that ``caller`` may not see."""
    query = ANY_POST if caller.may(MODERATE) else SEEN_POST
    return one_or_not_found(query, {"post_id": post_id, "caller_id": caller.id})


def create_post(caller: Caller, *, title: str, content: str, is_hidden: bool | None = None) -> Mapping[str, Any]:
    """Create a post of the caller's, and return it. Raises Forbidden where a non-moderator sends ``is_hidden``."""
    if is_hidden is not None:
        caller.demand(MODERATE)
    values = {"user_id": caller.member_id, "title": title, "content": content, "is_hidden": bool(is_hidden)}
    post = execute(NEW_POST, values).mappings().one()
    return {**post, "author": caller.name}


def changeable_post(caller: Caller, post_id: int) -> Post:
    """Return the post, locked, to its author or a moderator. Raises NotFound, or Forbidden to others who may see it."""
    if get_post(caller, post_id).user_id != caller.id:
        caller.demand(MODERATE)
    return db.session.get_one(Post, post_id, with_for_update=True)


def update_post(caller: Caller, post: Post, **changes: Unpack[PostChanges]) -> Record:
    """Change a post and return it; what is absent stays. Raises Forbidden where a non-moderator sends ``is_hidden``."""
    if "is_hidden" in changes:
        caller.demand(MODERATE)
    if changes.get("is_hidden") and not post.is_hidden:
        audit.record("post.hidden", audit.Subject("post", post.id, post.user_id))
    apply_changes(post, changes)
    return get_post(caller, post.id)


def delete_post(caller: Caller, post: Post) -> None:
    """Delete a post. That of another is a moderator's act, and recorded."""
    if post.user_id != caller.id:
        audit.record("post.deleted", audit.Subject("post", post.id, post.user_id))
    db.session.delete(post)


def erase_posts(user: User) -> None:
    """Erase the posts of a member who is being deleted."""
    db.session.execute(delete(Post).where(Post.user_id == user.id))
