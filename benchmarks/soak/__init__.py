"""Long runs under faults, after which every point is compared: `make soak`."""
