"""Who the neighbours are, and what is still known of them when they have left."""

from __future__ import annotations

import torch

from tokenexit.context.neighbours import look


def rows_of(table, exit, rows):
    signals = table.signals(exit, torch.tensor(rows))
    return signals, torch.tensor(rows, dtype=torch.float32)[:, None]


def parts(read, slots, width=1):
    numbers = read[:, : slots * width].unflatten(1, (slots, width))[..., 0]
    return numbers, read[:, slots * width : slots * (width + 1)], read[:, slots * (width + 1) :]


def test_neighbours_are_words_of_the_same_piece(make_table):
    read, _ = look(*rows_of(make_table(2), 0, [*range(10)]), 2, None)
    numbers, there, left = parts(read, 4)
    assert there[0].tolist() == [0, 0, 1, 1]  # the first word: nobody to its left
    assert there[4].tolist() == [1, 1, 0, 0]  # the last: the next window is none of its business
    assert there[5].tolist() == [0, 0, 1, 1]
    assert numbers[2].tolist() == [0, 1, 3, 4]
    assert numbers[5].tolist() == [0, 0, 6, 7]
    assert not left.any()


def test_who_has_left_stays_as_it_was(make_table):
    table = make_table(1)
    signals, numbers = rows_of(table, 0, [0, 1, 2, 3, 4])
    _, known = look(signals, numbers, 1, None)
    stay = torch.tensor([0, 2, 3])
    known = (known[0][stay], known[1][stay])
    signals, _ = rows_of(table, 1, [0, 2, 3])
    read, known = look(signals, torch.tensor([[10.0], [12.0], [13.0]]), 1, known)
    numbers, there, left = parts(read, 2)
    assert numbers.tolist() == [[0, 1], [1, 13], [12, 4]]
    assert left.tolist() == [[0, 1], [1, 0], [0, 1]]
    assert there.tolist() == [[0, 1], [1, 1], [1, 1]]
    signals, _ = rows_of(table, 2, [3])
    read, _ = look(signals, torch.tensor([[23.0]]), 1, (known[0][2:], known[1][2:]))
    assert parts(read, 2)[0].tolist() == [[12, 4]]  # what they last said


def test_windows_beyond_the_text(make_table):
    signals, numbers = rows_of(make_table(1), 0, [2])
    read, _ = look(signals, numbers, 16, None)
    assert read.shape == (1, 32 * 3)
    assert not read.any()


def test_order_and_company_do_not_matter(make_table):
    table = make_table(3)
    read, _ = look(*rows_of(table, 0, [*range(15)]), 2, None)
    order = torch.randperm(15, generator=torch.Generator().manual_seed(0)).tolist()
    assert torch.equal(look(*rows_of(table, 0, order), 2, None)[0], read[order])
    assert torch.equal(look(*rows_of(table, 0, [5, 6, 7, 8, 9]), 2, None)[0], read[5:10])
