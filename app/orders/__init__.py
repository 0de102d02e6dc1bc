"""Orders: products that change hands, paid for from an escrow.

An order that names an unknown or withdrawn product is 404; products of several sellers, or one's own, are 400; one of a
disabled seller is 409 `product_inactive`. Every role may place orders and take their steps.
"""
