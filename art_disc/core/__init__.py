"""Errors, checks at the door, seeds, intervals, files and result records."""
