"""Raw text to words, for texts that nobody has split yet."""
