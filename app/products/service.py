"""The rules of products."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import insert, literal, select, update

from app.core import clock
from app.core.caller import Caller
from app.core.errors import NotFound
from app.core.models import Query, Record
from app.extensions import db
from app.products.models import Product
from app.rates.service import price_in, rate_at_hand
from app.users.models import User
from app.users.service import user_deleting

MODERATE = "product:moderate"

OWN = (
    Product.id,
    Product.seller_id,
    Product.name,
    Product.description,
    Product.price,
    Product.stock,
    Product.is_active,
    Product.created_at,
    Product.updated_at,
)


def list_products() -> Query:
    """Give the query of the products that are there for all to see."""
    shown = select(*OWN, User.name.label("seller")).outerjoin(User, User.id == Product.seller_id)
    return shown.where(Product.withdrawn_at.is_(None))


def get_product(product_id: int) -> Record:
    """Give a product. Raises NotFound for an unknown or a withdrawn one."""
    product = db.session.execute(list_products().where(Product.id == product_id)).one_or_none()
    if product is None:
        raise NotFound
    return product


def with_prices(products: Sequence[Record], sent: Mapping[str, Any]) -> Sequence[Any]:
    """Give each product its price in the currency that was ``sent``, if one was; at one query in all."""
    if "currency" not in sent:
        return products
    rate = rate_at_hand(sent["currency"])
    return [{**product._mapping, "price_in": price_in(product.price, rate)} for product in products]


def create_product(caller: Caller, **fields: Any) -> Record:
    """Offer a product."""
    seller = literal(caller.name).label("seller")
    new = insert(Product).values(seller_id=caller.member_id, **fields).returning(*OWN, seller)
    return db.session.execute(new).one()


def changeable_product(caller: Caller, product_id: int) -> Product:
    """Give the product, locked, to its seller or a moderator. Raises NotFound, or Forbidden to others."""
    if get_product(product_id).seller_id != caller.id:
        caller.demand(MODERATE)
    product = db.session.get_one(Product, product_id, with_for_update=True)
    if product.withdrawn_at is not None:
        raise NotFound
    return product


def update_product(product: Product, **changes: Any) -> Record:
    """Change a product; what is absent stays."""
    for name, value in changes.items():
        setattr(product, name, value)
    db.session.flush()
    return get_product(product.id)


def withdraw_product(product: Product) -> None:
    """Take a product from sight; orders still name it."""
    product.withdrawn_at = clock.now()


@user_deleting.listen
def withdraw_products(user: User) -> None:
    """Take all products of a member who is being deleted from sight."""
    offered = Product.seller_id == user.id, Product.withdrawn_at.is_(None)
    db.session.execute(update(Product).where(*offered).values(withdrawn_at=clock.now()))
