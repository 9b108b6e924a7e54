"""Networks and tokenizers that are made rather than loaded."""
