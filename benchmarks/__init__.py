"""Times of the hot paths beside what a user would write in their place."""
