"""The whole of production on this machine, once for all tests: ``make stack-test``."""

from collections.abc import Iterator

import pytest
import requests

from deploy.stack import Stack
from tests.conftest import PASSWORD

MEMBER = {"email": "me@example.com", "name": "A member", "password": PASSWORD}
ERROR = {"error", "message", "code", "request_id"}


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    with Stack() as running:
        yield running


@pytest.fixture(scope="session")
def token(stack: Stack) -> str:
    assert requests.post(f"{stack.url}/api/v1/users", json=MEMBER, timeout=10).status_code == 201
    credentials = {name: MEMBER[name] for name in ("email", "password")}
    signed_in = requests.post(f"{stack.url}/auth/login", json=credentials, timeout=10)
    return str(signed_in.json()["access_token"])


@pytest.fixture
def member(token: str) -> Iterator[requests.Session]:
    """Who is signed in."""
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {token}"
        yield session
