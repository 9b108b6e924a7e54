"""Choosing a reducer: how many rows of a text are computed, at what loss of quality."""
