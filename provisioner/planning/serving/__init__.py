"""The services of a plan: all that whoever starts them has to know."""
