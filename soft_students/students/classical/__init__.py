"""Students trained by established libraries, on the soft targets in full."""
