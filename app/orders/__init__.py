"""Orders: products that change hands, paid for from an escrow."""
