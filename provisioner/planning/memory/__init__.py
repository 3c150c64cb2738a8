"""Where the memory of each device goes: weights, cache, activations, and what the engine takes for itself."""
