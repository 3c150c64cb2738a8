"""What a person sees of each result: pure functions from values to text."""
