"""Workflows: whole runs, as the recipes start them."""
