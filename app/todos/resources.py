"""Todos at their URLs."""

from typing import Any

from app.core.caller import Caller
from app.core.errors import NotFound
from app.core.lists.listing import Filter, Listing
from app.core.rest.endpoint import endpoint
from app.core.rest.resource import Resource
from app.todos import service
from app.todos.models import Todo
from app.todos.schemas import TodoSchema

TODOS = Listing(
    "todos",
    TodoSchema,
    Todo,
    sort={"created_at": Todo.created_at, "task": Todo.task},
    filters={"done": Filter(Todo.done)},
)

CHANGE = endpoint(
    permission="todo:write",
    load=service.own_todo,
    body=TodoSchema,
    response=TodoSchema,
    errors=(NotFound,),
)


class TodoList(Resource):
    """The caller's todos."""

    @endpoint(permission="todo:read", listing=TODOS)
    def get(self, caller: Caller) -> Any:
        """List your todos."""
        return service.list_todos(caller)

    @endpoint(permission="todo:write", body=TodoSchema, response=TodoSchema, status=201, location="/api/v1/todos/{id}")
    def post(self, caller: Caller, **fields: Any) -> Any:
        """Create a todo."""
        return service.create_todo(caller, **fields)


class TodoItem(Resource):
    """One of the caller's todos."""

    @endpoint(permission="todo:read", response=TodoSchema, errors=(NotFound,))
    def get(self, caller: Caller, todo_id: int) -> Any:
        """Read one of your todos."""
        return service.get_todo(caller, todo_id)

    @CHANGE
    def put(self, _caller: Caller, todo: Todo, **fields: Any) -> Any:
        """Replace one of your todos."""
        return service.update_todo(todo, **fields)

    @CHANGE
    def patch(self, _caller: Caller, todo: Todo, **changes: Any) -> Any:
        """Change some of the fields of one of your todos."""
        return service.update_todo(todo, **changes)

    @endpoint(permission="todo:write", load=service.own_todo, status=204, errors=(NotFound,))
    def delete(self, _caller: Caller, todo: Todo) -> None:
        """Delete one of your todos."""
        service.delete_todo(todo)
