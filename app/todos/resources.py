"""Todos at their URLs."""

from typing import Any

from app.core.caller import Caller
from app.core.endpoint import endpoint
from app.core.errors import NotFound
from app.core.query import Listing
from app.core.resource import Resource
from app.todos import service
from app.todos.models import Todo
from app.todos.schemas import TodoSchema

TODOS = Listing("todos", TodoSchema, Todo)


class TodoList(Resource):
    """The caller's todos."""

    @endpoint(permission="todo:read", listing=TODOS)
    def get(self, caller: Caller) -> Any:
        """List your todos."""
        return service.list_todos(caller)

    @endpoint(permission="todo:write", body=TodoSchema, answer=TodoSchema, status=201, location="/api/v1/todos/{id}")
    def post(self, caller: Caller, **fields: Any) -> Any:
        """Note something to do."""
        return service.create_todo(caller, **fields)


class TodoItem(Resource):
    """One of the caller's todos."""

    @endpoint(permission="todo:read", answer=TodoSchema, errors=(NotFound,))
    def get(self, caller: Caller, todo_id: int) -> Any:
        """Read one of your todos."""
        return service.get_todo(caller, todo_id)

    @endpoint(permission="todo:write", body=TodoSchema, answer=TodoSchema, errors=(NotFound,))
    def put(self, caller: Caller, todo_id: int, **fields: Any) -> Any:
        """Replace one of your todos."""
        return service.update_todo(caller, todo_id, **fields)

    @endpoint(permission="todo:write", body=TodoSchema, answer=TodoSchema, errors=(NotFound,))
    def patch(self, caller: Caller, todo_id: int, **changes: Any) -> Any:
        """Change some of the fields of one of your todos."""
        return service.update_todo(caller, todo_id, **changes)

    @endpoint(permission="todo:write", status=204, errors=(NotFound,))
    def delete(self, caller: Caller, todo_id: int) -> None:
        """Delete one of your todos."""
        service.delete_todo(caller, todo_id)
