"""One module per group of routes; what they answer is described in service/schemas."""
