"""Cascades: what a small model is not sure of, a larger one classifies."""
