"""Length-Adaptive Transformer: one training, a number of rows for each layer and budget."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("length_adaptive")
class LengthAdaptive(Method):
    """The network learns to bear the loss of rows, then a search says how many (Kim and Cho 2021).

    After fine-tuning, ``length_drop`` is the training: in each step a full pass, the smallest
    network of 0.8 of the rows from layer to layer, and two random ones, which imitate the full one
    and leave out layers by a chance of 0.2. Rows are chosen by the attention they receive; those
    removed are put back at the end, so that words are labelled as well. After it an evolutionary
    search on the validation split finds shares of rows by layer, ``calibrate.reducer``: 30 rounds
    of 30 mutations and 30 averages. Published are numbers of rows of a padded text, in place of
    which there are shares of each text's own length. The released code takes the divergence the
    other way round than the paper, and so does this.
    """

    paper = "Kim and Cho 2021"
    fidelity = "the released code; shares of each text's own length in place of numbers of rows"
    checked = "losses, gradients, 103, 83 ... 11 rows: tests/objectives/test_length_drop.py"
    units = ("text", "word")
    train = {"phases": [{"objective": {"name": "single"}}, {"objective": {"name": "length_drop"}}]}
    recipe = {"exit_layers": [], "reducer": {"name": "significance", "ratio": 1.0}}
    calibrate = {"reducer": {"by": "search"}}
    policies = ()
