"""How figures, policies and promises are put into words, the same in card, report and terminal."""
