"""From a picture's bytes to a unit vector."""
