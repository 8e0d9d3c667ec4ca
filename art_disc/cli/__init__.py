"""The command line: parse, call, exit code."""

from art_disc.cli.main import main

__all__ = ["main"]
