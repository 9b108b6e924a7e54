"""Figures of classes, entities and numbers, as arrays."""
