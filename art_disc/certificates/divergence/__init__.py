"""Certificates of classifiers that draw, from how far a budget moves the law of a draw."""
