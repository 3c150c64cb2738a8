"""Turns bare servers into working, private LLM appliances, and proves that they answer."""

__version__ = "0.1.0"
