"""Products at their URLs."""

from typing import Any

from app.core.caller import Caller
from app.core.errors import NotFound
from app.core.lists.listing import Filter, Listing
from app.core.parameters import Parameter
from app.core.permissions import Access
from app.core.rest.endpoint import endpoint
from app.core.rest.resource import Resource
from app.products import service
from app.products.models import Product
from app.products.schemas import ProductSchema
from app.rates.schemas import CURRENCY

PRODUCTS = Listing(
    "products",
    ProductSchema,
    Product,
    sort={"created_at": Product.created_at, "price": Product.price, "name": Product.name},
    filters={
        "seller_id": Filter(Product.seller_id),
        "price": Filter(Product.price),
        "stock": Filter(Product.stock),
        "is_active": Filter(Product.is_active),
        "created_at": Filter(Product.created_at),
    },
    extend=service.with_prices,
)

IN_CURRENCY = Parameter("currency", "Adds `price_in`: the price in this currency, halves rounded up.", CURRENCY)

CHANGE = endpoint(
    permission="product:write",
    load=service.changeable_product,
    body=ProductSchema,
    response=ProductSchema,
    errors=(NotFound,),
)


class ProductList(Resource):
    """All products."""

    @endpoint(permission=Access.PUBLIC, listing=PRODUCTS, query=(IN_CURRENCY,))
    def get(self, _caller: Caller) -> Any:
        """List products, the newest first. Those that are not active cannot be ordered."""
        return service.list_products()

    @endpoint(
        permission="product:write",
        body=ProductSchema,
        response=ProductSchema,
        status=201,
        location="/api/v1/products/{id}",
    )
    def post(self, caller: Caller, **fields: Any) -> Any:
        """Create a product."""
        return service.create_product(caller, **fields)


class ProductItem(Resource):
    """One product."""

    @endpoint(permission=Access.PUBLIC, response=ProductSchema, query=(IN_CURRENCY,), errors=(NotFound,))
    def get(self, _caller: Caller, product_id: int, **sent: str) -> Any:
        """Read a product."""
        return service.with_prices([service.get_product(product_id)], sent)[0]

    @CHANGE
    def put(self, caller: Caller, product: Product, **fields: Any) -> Any:
        """Replace a product: one's own, or any for moderators, who leave its picture as it is: an `image_id` is 403."""
        return service.replace_product(caller, product, **fields)

    @CHANGE
    def patch(self, caller: Caller, product: Product, **changes: Any) -> Any:
        """Change some of a product's fields: one's own, or any for moderators, whose `image_id` is 403."""
        return service.update_product(caller, product, **changes)

    @endpoint(permission="product:write", load=service.changeable_product, status=204, errors=(NotFound,))
    def delete(self, caller: Caller, product: Product) -> None:
        """Withdraw a product: one's own, or any for moderators. The orders that name it stay."""
        service.withdraw_product(caller, product)
