"""Adversarial images that were made elsewhere, judged here."""
