"""Generators: generated tokens leave the decoder early."""
