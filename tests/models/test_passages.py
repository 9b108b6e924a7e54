"""Running text as windows, and what of them is masked."""

from __future__ import annotations

import numpy as np
import pytest

from tokenexit.errors import UserError
from tokenexit.models.encoders.passages import Masking, Passage, masking_of, read_windows
from tokenexit.testing.tagger import WORDS, tiny_tokenizer


def window(words, masks):
    inner = np.array(words, dtype=np.int32)
    numbers = np.concatenate([[-1], inner, [-1]]).astype(np.int32)
    return Passage(np.arange(100, 100 + len(numbers), dtype=np.int32), numbers, masks)


def test_a_long_text_becomes_windows_that_overlap_nowhere():
    text = " ".join(WORDS * 5)
    whole = tiny_tokenizer()(text, add_special_tokens=False)["input_ids"]
    found = list(read_windows(tiny_tokenizer(), [text, "ax"], 20, 0.25))
    inner = [token for one in found for token in one.input_ids[one.words >= 0].tolist()]
    assert whole[: len(inner)] == inner
    assert len(whole) - len(inner) < 4  # an end that is too short, as "ax" is
    assert [one.masks for one in found[:-1]] == [round(0.25 * 18)] * (len(found) - 1)
    assert found[0].targets == [0, 0, 0, 0]
    assert found[0].unlabelled().targets == [-100] * 4


def test_eighty_ten_ten_and_nothing_else_changes():
    masking, passage = Masking(7, 50), window(range(60), 30)
    kinds = {"mask": 0, "other": 0, "same": 0}
    chosen = np.zeros(60)
    for seed in range(200):
        made = masking(passage, seed)
        assert masking(passage, seed).input_ids == made.input_ids
        places = [rows[0] for rows in made.word_rows]
        assert len(set(places)) == 30
        assert not {0, 61} & set(places)
        assert made.targets == [100 + place for place in places]
        chosen[np.array(places) - 1] += 1
        ids = np.array(made.input_ids)
        still = np.delete(ids, places) == np.delete(passage.input_ids, places)
        assert still.all()
        for place in places:
            kind = {7: "mask", 100 + place: "same"}.get(int(ids[place]), "other")
            kinds[kind] += 1
    shares = [kinds[kind] / 6000 for kind in ("mask", "other", "same")]
    # A fiftieth of the random tokens is the mask.
    assert shares == pytest.approx([0.802, 0.098, 0.1], abs=0.02)
    assert chosen / 200 == pytest.approx(np.full(60, 0.5), abs=0.15)


def test_whole_words_go_together():
    masking, passage = Masking(7, 50, whole_words=True), window([0, 0, 0, 1, 2, 2, 3], 3)
    seen = set()
    for seed in range(40):
        places = tuple(rows[0] - 1 for rows in masking(passage, seed).word_rows)
        seen.add(places)
        assert len(places) <= 3
        for part in ((0, 1, 2), (4, 5)):
            assert not set(part) & set(places) or set(part) <= set(places)
    assert {(0, 1, 2), (3, 4, 5), (4, 5, 6)} <= seen
    assert Masking(7, 50, whole_words=True)(window([0] * 8, 2), 0).word_rows == [[1], [2]]


def test_what_is_borrowed_teaches_nothing():
    assert set(Masking(7, 50)(window(range(9), 3).unlabelled(), 1).targets or ()) == {-100}


def test_a_tokenizer_without_a_mask():
    class Maskless:
        mask_token_id = None

    with pytest.raises(UserError, match="has no mask token"):
        masking_of(Maskless(), False)
