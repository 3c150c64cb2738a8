"""Several models on one machine."""
