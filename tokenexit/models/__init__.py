"""Models: what users hold."""
