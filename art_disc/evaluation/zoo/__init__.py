"""Every attack of the table against several classifiers."""
