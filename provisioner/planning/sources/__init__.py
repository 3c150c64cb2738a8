"""Which files a model is served from, and what has to be brought."""
