"""The rules of todos."""

from typing import Any

from sqlalchemy import delete, insert, select

from app.core.caller import Caller
from app.core.db.base import Query, Record
from app.core.errors import NotFound
from app.extensions import db
from app.todos.models import Todo
from app.users.models import User

SHOWN = (Todo.id, Todo.task, Todo.done, Todo.created_at, Todo.updated_at)


def list_todos(caller: Caller) -> Query:
    """Return the query of the caller's todos."""
    return select(*SHOWN).where(Todo.user_id == caller.member_id)


def get_todo(caller: Caller, todo_id: int) -> Record:
    """Return one of the caller's todos. Raises NotFound."""
    todo = db.session.execute(list_todos(caller).where(Todo.id == todo_id)).one_or_none()
    if todo is None:
        raise NotFound
    return todo


def create_todo(caller: Caller, **fields: Any) -> Record:
    """Note something to do."""
    new = insert(Todo).values(user_id=caller.member_id, **fields).returning(*SHOWN)
    return db.session.execute(new).one()


def own_todo(caller: Caller, todo_id: int) -> Todo:
    """Return one of the caller's todos, locked, to be changed. Raises NotFound."""
    own = select(Todo).where(Todo.id == todo_id, Todo.user_id == caller.member_id)
    todo = db.session.scalars(own.with_for_update()).one_or_none()
    if todo is None:
        raise NotFound
    return todo


def update_todo(todo: Todo, **changes: Any) -> Todo:
    """Change a todo; what is absent stays."""
    for name, value in changes.items():
        setattr(todo, name, value)
    db.session.flush()
    return todo


def delete_todo(todo: Todo) -> None:
    """Delete a todo."""
    db.session.delete(todo)


def erase_todos(user: User) -> None:
    """Erase the todos of a member who is being deleted."""
    db.session.execute(delete(Todo).where(Todo.user_id == user.id))
