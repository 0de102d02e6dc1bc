"""What the tests of the audit log have in common."""

from typing import Any

from tests.client import CheckedClient

Json = dict[str, Any]

URL = "/api/v1/audit"
POST = {"title": "t", "content": "c"}
PRODUCT = {"name": "Honey", "price": 7, "stock": 5}


def log(reader: CheckedClient, **query: Any) -> list[Json]:
    """Return the newest records that ``reader`` sees, the oldest first."""
    answer = reader.get(URL, query_string={"per_page": 100, **query})
    assert answer.status_code == 200, answer.text
    found: list[Json] = answer.get_json()["audit"]
    return found[::-1]


def acts(reader: CheckedClient, **query: Any) -> list[str]:
    return [record["action"] for record in log(reader, **query)]
