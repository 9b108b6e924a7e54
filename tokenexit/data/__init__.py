"""Text and tags from files, folders and the Hub, in one form."""
