"""Encoders with exits: words and texts run through them."""
