"""Verdicts that no attack can contradict: by enumeration, and by divergences."""
