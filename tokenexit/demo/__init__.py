"""Generated corpora to try things on: made up here, without a download or a licence."""
