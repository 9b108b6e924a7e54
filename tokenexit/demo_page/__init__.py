"""The page of ``tokenexit demo``: a model answers what is typed, at a threshold that is dragged.

Generated corpora to try training on are ``tokenexit.demo``.
"""
