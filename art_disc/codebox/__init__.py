"""Which codewords a budget lets each pixel reach."""
