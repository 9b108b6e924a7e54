"""Generated corpora to try things on: made up here, without a download or a licence.

The page of ``tokenexit demo`` is ``tokenexit.demo_page``.
"""
