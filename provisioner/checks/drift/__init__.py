"""Rules that only `doctor` asks: of what drifts apart on a host while it runs."""
