"""Demo data, so that a first look at a fresh development database finds something."""

from sqlalchemy import insert, select
from sqlalchemy.exc import DBAPIError

from app.extensions import db
from app.posts.models import Post
from app.todos.models import Todo
from app.users import service as users
from app.users.models import User, email_key
from app.users.passwords import hash_password

PASSWORD = "Agora-demo-1"
MEMBERS = {f"{role}@example.com": role for role in ("member", "moderator", "treasurer", "admin")}

POSTS = (
    ("Welcome to the community", "Say who you are, what you offer and what you look for."),
    ("Tool library opens on Saturday", "Drills, ladders and a sewing machine are there to be borrowed."),
    ("Surplus tomatoes", "The garden has given more than we can eat. Come by with a basket."),
    ("Bicycle workshop", "Bring what squeaks. Spare parts are paid for in credits."),
    ("Looking for a piano teacher", "An hour a week, for a patient beginner."),
    ("How credits work", "They are issued by the treasurer, and earned by doing something for somebody."),
)
TODOS = (("Read the documentation at /docs", True), ("Write a first post", False), ("Invite a neighbour", False))


def fill() -> None:
    """Make the demo members, and for each of them posts and todos. Runs inside a unit of work."""
    password_hash = hash_password(PASSWORD)
    for email, role in MEMBERS.items():
        user = users.create_user(email=email, name=f"Demo {role}", password_hash=password_hash, role=role)
        db.session.execute(
            insert(Post), [{"user_id": user.id, "title": title, "content": content} for title, content in POSTS]
        )
        db.session.execute(insert(Todo), [{"user_id": user.id, "task": task, "done": done} for task, done in TODOS])


def is_present() -> bool:
    """Tell whether the demo members can sign in."""
    first = email_key(next(iter(MEMBERS)))
    try:
        return db.session.scalar(select(User.id).where(User.email_key == first)) is not None
    except DBAPIError:
        return False  # A database that is away or not migrated has none.
