"""Holds the planner's memory arithmetic against published runs of real engines: what it predicts, and what they logged."""
