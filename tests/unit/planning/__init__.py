"""The planner's tests."""
