"""Real engines for tests: tiny models of every shape, and the process inside vLLM's environment that runs them."""
