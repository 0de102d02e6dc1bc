"""The rules of todos."""

from typing import TypedDict, Unpack

from sqlalchemy import delete, insert, select

from app.core.caller import Caller
from app.core.db.base import Query, Record
from app.core.rows import apply_changes, one_locked, one_or_not_found
from app.extensions import db
from app.todos.models import Todo
from app.users.models import User

SHOWN = (Todo.id, Todo.task, Todo.done, Todo.created_at, Todo.updated_at)


class TodoChanges(TypedDict, total=False):
    """The fields of a todo that its owner may change."""

    task: str
    done: bool


def list_todos(caller: Caller) -> Query:
    """Return the query of the caller's todos."""
    return select(*SHOWN).where(Todo.user_id == caller.member_id)


def get_todo(caller: Caller, todo_id: int) -> Record:
    """Return one of the caller's todos. Raises NotFound."""
    return one_or_not_found(list_todos(caller).where(Todo.id == todo_id))


def create_todo(caller: Caller, *, task: str, done: bool) -> Record:
    """Create a todo of the caller's, and return it."""
    new = insert(Todo).values(user_id=caller.member_id, task=task, done=done).returning(*SHOWN)
    return db.session.execute(new).one()


def own_todo(caller: Caller, todo_id: int) -> Todo:
    """Return one of the caller's todos, locked, to be changed. Raises NotFound."""
    return one_locked(select(Todo).where(Todo.id == todo_id, Todo.user_id == caller.member_id))


def update_todo(todo: Todo, **changes: Unpack[TodoChanges]) -> Todo:
    """Change a todo, and return it; what is absent stays."""
    apply_changes(todo, changes)
    return todo


def delete_todo(todo: Todo) -> None:
    """Delete a todo."""
    db.session.delete(todo)


def erase_todos(user: User) -> None:
    """Erase the todos of a member who is being deleted."""
    db.session.execute(delete(Todo).where(Todo.user_id == user.id))
