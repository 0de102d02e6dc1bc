"""No error without its declaration: what a handler raises is read in the code, down to the last function it calls."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from functools import cache
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import pytest
from flask import Flask

from app.core.errors import AppError
from app.core.hooks import EXTENSION, Hook
from app.core.rest import openapi
from app.orders import service as orders
from app.todos import service as todos
from app.users import service as users
from tests.client import document
from tests.contract.routes import ROUTES, Route, names

Function = Callable[..., Any]

# What is read in the code and yet cannot be raised for a route.
UNREACHABLE = {
    ("POST /api/v1/files", "app.core.clients.storage._answering"): "Bytes are missing where they are read, not stored.",
}


class Raised(NamedTuple):
    """An error that a function raises, and where."""

    error: type[AppError]
    function: str
    line: int


@cache
def parsed(function: Function) -> ast.FunctionDef | None:
    """Return the syntax of a function of ours, with the line numbers of its file, None for what has none."""
    lines, first = inspect.getsourcelines(function)
    tree = ast.parse(textwrap.dedent("".join(lines)))
    ast.increment_lineno(tree, first - 1)
    return next((node for node in tree.body if isinstance(node, ast.FunctionDef)), None)


def is_ours(value: object) -> bool:
    return isinstance(value, FunctionType) and value.__module__.startswith("app.")


class Reader:
    """Reads what a function raises, itself or by what it calls or passes on to be called."""

    def __init__(self, app: Flask) -> None:
        self.hooks = app.extensions[EXTENSION]
        self._known: dict[Function, set[Raised]] = {}

    def raised_by(self, function: Function) -> set[Raised]:
        function = inspect.unwrap(function)
        if function not in self._known:
            self._known[function] = set()  # of a function that calls itself
            node = parsed(function) if is_ours(function) else None
            if node:
                self._known[function] = self._of_nodes(node.body, function)
        return self._known[function]

    def _of_nodes(self, nodes: list[Any], function: Function) -> set[Raised]:
        found: set[Raised] = set()
        for node in nodes:
            found |= self._of_node(node, function)
        return found

    def _of_node(self, node: ast.AST, function: Function) -> set[Raised]:
        if isinstance(node, ast.Try):
            caught = tuple(self._caught(node, function))
            tried = {one for one in self._of_nodes(node.body, function) if not issubclass(one.error, caught)}
            handled = [statement for handler in node.handlers for statement in handler.body]
            return tried | self._of_nodes([*handled, *node.orelse, *node.finalbody], function)
        found = self._of_nodes(list(ast.iter_child_nodes(node)), function)
        raised = node.exc if isinstance(node, ast.Raise) else node.func if isinstance(node, ast.Call) else None
        error = self._value(raised, function) if raised else None
        if isinstance(error, type) and issubclass(error, AppError):
            found.add(Raised(error, f"{function.__module__}.{function.__qualname__}", getattr(node, "lineno", 0)))
        for called in self._called(node, function):
            found |= self.raised_by(called)
        return found

    def _caught(self, node: ast.Try, function: Function) -> Iterator[type]:
        for handler in node.handlers:
            kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
            for value in (self._value(kind, function) for kind in kinds if kind):
                if isinstance(value, type):
                    yield value

    def _called(self, node: ast.AST, function: Function) -> Iterator[Function]:
        """Yield the functions that a name stands for: the one itself, or those that a hook calls."""
        if isinstance(node, ast.Name | ast.Attribute):
            value = self._value(node, function)
            if isinstance(value, Hook):
                yield from self.hooks.get(value, ())
            elif isinstance(value, FunctionType):
                yield value

    def _value(self, node: ast.AST | None, function: Function) -> Any:
        """Return what a name, or an attribute of a module, a class or an argument whose class is told, stands for."""
        if isinstance(node, ast.Name):
            return function.__globals__.get(node.id)
        if not isinstance(node, ast.Attribute):
            return None
        base = self._value(node.value, function)
        if base is None and isinstance(node.value, ast.Name):
            base = function.__annotations__.get(node.value.id)
        return getattr(base, node.attr, None) if isinstance(base, ModuleType | type) else None


def functions_of(app: Flask, route: Route) -> Iterator[Function]:
    """Yield what is called to answer a route."""
    view: Any = next(view for rule, view in openapi.described_rules(app) if rule.rule == route.rule)
    contract = route.contract
    yield getattr(view, route.method.lower())
    yield from filter(None, (contract.load, contract.before_transaction))
    if contract.listing:
        yield from filter(None, (contract.listing.extend,))


@pytest.fixture(scope="module")
def reader_of_code(session_app: Flask) -> Reader:
    return Reader(session_app)


@pytest.mark.parametrize("route", ROUTES, ids=names)
def test_a_handler_raises_only_what_it_declares(session_app: Flask, reader_of_code: Reader, route: Route) -> None:
    path = route.rule.replace("<id:", "{").replace("<string:", "{").replace(">", "}")
    declared = document(session_app)["paths"][path][route.method.lower()]["responses"]
    raised = {one for function in functions_of(session_app, route) for one in reader_of_code.raised_by(function)}
    undeclared = [
        f"{route} may be {one.error.status}, raised by {one.function} in line {one.line}: "
        f"declare it with errors=({one.error.__name__},)"
        for one in sorted(raised, key=str)
        if str(one.error.status) not in declared and (str(route), one.function) not in UNREACHABLE
    ]
    assert undeclared == [], "\n".join(undeclared)


def raising(function: Function, app: Flask) -> set[str]:
    return {one.error.__name__ for one in Reader(app).raised_by(function)}


def test_what_is_read_in_the_code_is_what_it_raises(session_app: Flask) -> None:
    assert raising(todos.own_todo, session_app) == {"NotFound"}
    assert raising(todos.delete_todo, session_app) == set()
    assert {"Conflict", "NotFound", "ValidationFailed"} <= raising(orders.create_order, session_app)
    assert "Conflict" in raising(users.delete_user, session_app)
