"""One attack run on one classifier, once."""
