"""What is tried on a machine, engine by engine and step by step, and what came of it."""
