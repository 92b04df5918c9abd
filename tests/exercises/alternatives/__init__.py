"""Right and lazy answers to the exercises, one module a chapter."""
