"""The rules of products."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack

from sqlalchemy import exists, insert, literal, select, update

from app.audit import service as audit
from app.core import clock
from app.core.caller import Caller
from app.core.db.base import Query, Record, table_of
from app.core.errors import Conflict, Forbidden, NotFound
from app.core.rows import apply_changes, one_or_not_found
from app.core.unit_of_work import execute
from app.extensions import db
from app.files.models import File
from app.files.service import publish_picture, url_of
from app.products.models import Product
from app.rates.service import price_in, rate_at_hand
from app.users.models import User

MODERATE = "product:moderate"

OWN = (
    Product.id,
    Product.seller_id,
    Product.name,
    Product.description,
    Product.price,
    Product.stock,
    Product.is_active,
    Product.image_id,
    url_of(Product.image_id).label("image_url"),
    Product.created_at,
    Product.updated_at,
)


class ProductChanges(TypedDict, total=False):
    """The fields of a product that its seller or a moderator may change. ``price``: minor units."""

    name: str
    description: str
    price: int
    stock: int
    is_active: bool
    image_id: int | None


class NewProduct(TypedDict):
    """The fields of a product to be created. ``price``: minor units."""

    name: str
    description: str
    price: int
    stock: int
    is_active: bool
    image_id: int | None


def list_products() -> Query:
    """Return the query of the products that are there for all to see."""
    return _all().where(Product.withdrawn_at.is_(None))


def list_products_of(seller_id: int) -> Query:
    """Return the query of all that a member has offered, what is withdrawn included."""
    return _all().where(Product.seller_id == seller_id)


def _all() -> Query:
    return select(*OWN, User.name.label("seller")).outerjoin(User, User.id == Product.seller_id)


def get_product(product_id: int) -> Record:
    """Return a product. Raises NotFound for an unknown or a withdrawn one."""
    return one_or_not_found(list_products().where(Product.id == product_id))


def with_prices(products: Sequence[Record], sent: Mapping[str, Any]) -> Sequence[Any]:
    """Return the products with their price in the currency that was ``sent``, if one was: one query for all."""
    if "currency" not in sent:
        return products
    rate = rate_at_hand(sent["currency"])
    return [{**product._mapping, "price_in": price_in(product.price, rate)} for product in products]


def create_product(caller: Caller, **fields: Unpack[NewProduct]) -> Record:
    """Create a product of the caller's, and return it. Raises ValidationFailed for another member's image."""
    if fields["image_id"] is not None:
        publish_picture(fields["image_id"], owner_id=caller.member_id, field="image_id")
    seller = literal(caller.name).label("seller")
    new = insert(Product).values(seller_id=caller.member_id, **fields).returning(*OWN, seller)
    return db.session.execute(new).one()


def create_products(seller_id: int, rows: Sequence[NewProduct]) -> None:
    """Create many products of one seller by one statement."""
    execute(insert(table_of(Product)), [{**fields, "seller_id": seller_id} for fields in rows])


def changeable_product(caller: Caller, product_id: int) -> Product:
    """Return the product, locked, to its seller or a moderator. Raises NotFound, or Forbidden to others."""
    if get_product(product_id).seller_id != caller.id:
        caller.demand(MODERATE)
    product = db.session.get_one(Product, product_id, with_for_update=True)
    if product.withdrawn_at is not None:
        raise NotFound
    return product


def replace_product(caller: Caller, product: Product, **fields: Unpack[NewProduct]) -> Record:
    """Replace a product; a picture that is not named goes if the seller does so, and stays if a moderator does.

    Raises as update_product does.
    """
    changes = ProductChanges(**fields)
    if caller.id != product.seller_id and changes["image_id"] is None:
        del changes["image_id"]
    return update_product(caller, product, **changes)


def update_product(caller: Caller, product: Product, **changes: Unpack[ProductChanges]) -> Record:
    """Change a product and return it; what is absent stays.

    Raises ValidationFailed for an image that is not the seller's, and Forbidden for one that another names: a file
    becomes public by its owner's own act alone.
    """
    if "image_id" in changes and caller.id != product.seller_id:
        raise Forbidden("Only the seller chooses a product's picture.")
    shown_before = product.image_id
    image_id = changes.get("image_id")
    if image_id is not None and image_id != shown_before:
        publish_picture(image_id, owner_id=product.seller_id, field="image_id")
    apply_changes(product, changes)
    if product.image_id != shown_before:
        _hide_picture(shown_before)
    return get_product(product.id)


def withdraw_product(caller: Caller, product: Product) -> None:
    """Withdraw a product: nobody sees it any more, and orders still name it.

    That of another is a moderator's act, and recorded.
    """
    if product.seller_id != caller.id:
        audit.record("product.withdrawn", audit.Subject("product", product.id, product.seller_id))
    product.withdrawn_at = clock.now()
    shown_before, product.image_id = product.image_id, None
    db.session.flush()
    _hide_picture(shown_before)


def _hide_picture(file_id: int | None) -> None:
    """Make a picture private again, unless another product shows it.

    It is locked first: of two products that stop showing it at once, the later one sees what the other has done.
    """
    if file_id is None:
        return
    db.session.execute(select(File.id).where(File.id == file_id).with_for_update())
    unseen = File.id == file_id, ~exists().where(Product.image_id == file_id)
    db.session.execute(update(File).where(*unseen).values(is_public=False))


def keep_picture(file: File) -> None:
    """Raise Conflict (``file_in_use``) where a product shows this picture."""
    if db.session.scalar(select(exists().where(Product.image_id == file.id))):
        raise Conflict("A product shows this picture.", code="file_in_use")


def withdraw_products(user: User) -> None:
    """Withdraw all products of a member who is being deleted."""
    offered = Product.seller_id == user.id, Product.withdrawn_at.is_(None)
    db.session.execute(update(Product).where(*offered).values(withdrawn_at=clock.now(), image_id=None))
