"""The clocks of a GPU: cases, what is built for them, one process each, and the table."""
