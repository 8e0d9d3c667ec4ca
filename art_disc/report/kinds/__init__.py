"""How each kind of record is shown: one module a kind, or a family of them."""
