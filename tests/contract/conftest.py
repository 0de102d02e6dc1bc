"""What the contract tests begin with: one of everything, or more than a page of it."""

import pytest

from tests.client import CheckedClient
from tests.conftest import AsUser
from tests.contract.resources import RESOURCES, fill, stocked

ROWS = 130


@pytest.fixture
def owner(as_user: AsUser) -> CheckedClient:
    """An admin with the number 1 of everything."""
    return stocked(as_user)


@pytest.fixture
def reader(as_user: AsUser) -> CheckedClient:
    """An admin who finds more than a page of everything."""
    member = as_user("admin")
    assert member.user_id == 1
    for resource in RESOURCES:
        if resource.many:
            fill(member, resource.many(range(ROWS)))
    return member
