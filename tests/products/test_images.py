"""The picture of a product: its seller's own, seen by all as long as a product shows it, and not deleted before."""

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import pytest
from flask import Flask

from app.files.service import make_thumbnail
from tests.client import CheckedClient
from tests.conftest import AsUser
from tests.contract.resources import PICTURE
from tests.contract.test_idempotency import signed_in_as

URL = "/api/v1/products"
FILE = "/api/v1/files/1"
PRODUCT: dict[str, Any] = {"name": "Honey", "price": 7, "stock": 5}


def send_picture(member: CheckedClient, content: bytes = PICTURE) -> int:
    made: int = member.post("/api/v1/files", data={"file": (BytesIO(content), "a.png")}).get_json()["id"]
    return made


@pytest.fixture
def seller(as_user: AsUser) -> CheckedClient:
    member = as_user()
    assert send_picture(member) == 1
    return member


def test_a_product_shows_its_picture_to_all(app: Flask, seller: CheckedClient, client: CheckedClient) -> None:
    with app.app_context():
        make_thumbnail(1)
    assert client.get(f"{FILE}/content").status_code == 404
    made = seller.post(URL, json={**PRODUCT, "image_id": 1}).get_json()
    assert (made["image_id"], made["image_url"]) == (1, f"{FILE}/content")
    assert client.get(f"{URL}/1").get_json()["image_url"] == made["image_url"]
    for url in (made["image_url"], f"{FILE}/thumbnail"):
        seen = client.get(url)
        assert (seen.status_code, seen.headers["Cache-Control"]) == (200, "public, max-age=300")
    assert client.get(made["image_url"]).data == PICTURE
    assert client.get(FILE).status_code == 401


@pytest.mark.parametrize("role", ["moderator", "admin"])
def test_nobody_but_its_owner_makes_a_file_public(
    seller: CheckedClient, as_user: AsUser, client: CheckedClient, role: str
) -> None:
    moderator = as_user(role)
    assert send_picture(moderator) == 2
    assert send_picture(seller) == 3
    seller.post(URL, json={**PRODUCT, "image_id": 3})
    refusals = []
    for named in (1, 2, 3, 99, None):
        refusals.append(moderator.patch(f"{URL}/1", json={"image_id": named}))
    for named in (1, 2, 3, 99):
        refusals.append(moderator.put(f"{URL}/1", json={**PRODUCT, "image_id": named}))
    assert {answer.status_code for answer in refusals} == {403}
    assert {answer.get_json()["message"] for answer in refusals} == {"Only the seller chooses a product's picture."}
    assert [client.get(f"/api/v1/files/{n}/content").status_code for n in (1, 2, 3)] == [404, 404, 200]


def test_moderators_edit_the_words_of_a_product_and_leave_its_picture(
    seller: CheckedClient, as_user: AsUser, client: CheckedClient
) -> None:
    moderator = as_user("moderator")
    seller.post(URL, json={**PRODUCT, "image_id": 1})
    patched = moderator.patch(f"{URL}/1", json={"name": "Jam"})
    replaced = moderator.put(f"{URL}/1", json={**PRODUCT, "name": "Mead"})
    assert [answer.get_json()["image_id"] for answer in (patched, replaced)] == [1, 1]
    assert replaced.get_json()["name"] == "Mead"
    assert client.get(f"{FILE}/content").status_code == 200
    assert seller.put(f"{URL}/1", json=PRODUCT).get_json()["image_id"] is None
    assert client.get(f"{FILE}/content").status_code == 404


def test_a_product_without_a_picture_says_so(seller: CheckedClient) -> None:
    made = seller.post(URL, json=PRODUCT).get_json()
    assert (made["image_id"], made["image_url"]) == (None, None)


def test_the_picture_is_the_sellers_own_and_a_picture(seller: CheckedClient, as_user: AsUser) -> None:
    other = as_user("moderator")
    assert send_picture(other) == 2
    assert send_picture(seller, b"text") == 3
    seller.post(URL, json=PRODUCT)
    for wrong in (2, 3, 99):
        for answer in (
            seller.post(URL, json={**PRODUCT, "image_id": wrong}),
            seller.patch(f"{URL}/1", json={"image_id": wrong}),
        ):
            assert (answer.status_code, list(answer.get_json()["errors"])) == (400, ["image_id"])


def test_what_a_product_shows_is_not_deleted(seller: CheckedClient, client: CheckedClient) -> None:
    seller.post(URL, json={**PRODUCT, "image_id": 1})
    refused = seller.delete(FILE)
    assert (refused.status_code, refused.get_json()["code"]) == (409, "file_in_use")
    seller.patch(f"{URL}/1", json={"image_id": None})
    assert client.get(f"{FILE}/content").status_code == 404
    assert seller.delete(FILE).status_code == 204


@pytest.mark.parametrize("how", ["another", "none", "replaced", "withdrawn"])
def test_a_picture_is_private_again_when_the_last_product_stops_showing_it(
    seller: CheckedClient, client: CheckedClient, how: str
) -> None:
    def stop(number: int) -> None:
        match how:
            case "another":
                seller.patch(f"{URL}/{number}", json={"image_id": send_picture(seller)})
            case "none":
                seller.patch(f"{URL}/{number}", json={"image_id": None})
            case "replaced":
                seller.put(f"{URL}/{number}", json=PRODUCT)
            case "withdrawn":
                seller.delete(f"{URL}/{number}")

    for _ in range(2):
        seller.post(URL, json={**PRODUCT, "image_id": 1})
    stop(1)
    assert client.get(f"{FILE}/content").status_code == 200
    assert seller.delete(FILE).status_code == 409
    stop(2)
    assert client.get(f"{FILE}/content").status_code == 404
    assert seller.delete(FILE).status_code == 204


def test_other_changes_leave_the_picture(seller: CheckedClient, client: CheckedClient) -> None:
    seller.post(URL, json={**PRODUCT, "image_id": 1})
    assert seller.patch(f"{URL}/1", json={"price": 9, "image_id": 1}).status_code == 200
    assert seller.patch(f"{URL}/1", json={"price": 10}).get_json()["image_id"] == 1
    assert client.get(f"{FILE}/content").status_code == 200


def test_the_picture_is_erased_with_its_seller(seller: CheckedClient, client: CheckedClient) -> None:
    seller.post(URL, json={**PRODUCT, "image_id": 1})
    assert seller.delete(f"/api/v1/users/{seller.user_id}").status_code == 204
    assert client.get(f"{FILE}/content").status_code == 404


def test_of_many_products_that_stop_showing_it_at_once_the_last_one_hides_it(
    app: Flask, seller: CheckedClient, client: CheckedClient
) -> None:
    for _ in range(8):
        seller.post(URL, json={**PRODUCT, "image_id": 1})

    def stop(number: int) -> int:
        return signed_in_as(app, seller).patch(f"{URL}/{number}", json={"image_id": None}).status_code

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(stop, range(1, 9))) == {200}
    assert client.get(f"{FILE}/content").status_code == 404


def test_a_picture_that_is_deleted_while_a_product_takes_it_is_kept_or_refused(
    app: Flask, seller: CheckedClient
) -> None:
    seller.post(URL, json=PRODUCT)
    for number in range(1, 9):
        taking, deleting = signed_in_as(app, seller), signed_in_as(app, seller)
        with ThreadPoolExecutor(2) as threads:
            taken = threads.submit(taking.patch, f"{URL}/1", json={"image_id": number})
            deleted = threads.submit(deleting.delete, f"/api/v1/files/{number}")
        assert (taken.result().status_code, deleted.result().status_code) in ((200, 409), (400, 204))
        assert send_picture(seller) == number + 1
