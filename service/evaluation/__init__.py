"""How well a model finds the right photos: the figures, the misses, the thresholds."""
