"""Taggers: words leave the network early."""
