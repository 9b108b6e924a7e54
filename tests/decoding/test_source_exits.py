"""Tokens of the source that leave the encoder early."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.testing import assert_close
from transformers import AutoModelForSeq2SeqLM

from tokenexit import ExitModelForSeq2SeqLM, policies
from tokenexit.decoders import DECODERS
from tokenexit.decoding import decode_macs
from tokenexit.decoding.source_exits import check_source_policy, encode_source
from tokenexit.decoding.teacher_forcing import Pair
from tokenexit.errors import UserError
from tokenexit.objectives import from_config
from tokenexit.training.batches import MicroBatch
from tokenexit.training.seq2seq_loss import Seq2SeqLossModule

CLOSE: dict[str, Any] = {"atol": 1e-6, "rtol": 1e-6}
BLIND = [
    policies.Hash(1, 2),
    policies.TokenFrequency((30,), 1),
    policies.AssignedDepth(1),
    policies.Saturation(0.0),
]


@pytest.fixture(autouse=True)
def _no_gradients() -> Any:
    with torch.no_grad():
        yield


def run(model: Any, sources: Any, policy: Any) -> Any:
    return encode_source(model.decoder.source_encoder(), *sources.inputs.values(), policy)


def test_full_depth_is_the_models_own_encoder(model, sources):
    found = run(model, sources, policies.Never())
    expected = model.decoder.encode(**sources.inputs)
    real = sources.mask.bool()
    assert_close(found.memory[real], expected[real], **CLOSE)
    assert not found.memory[~real].any()
    assert found.exit_layers[real].eq(2).all()
    assert not found.exit_layers[~real].any()


@pytest.mark.parametrize("policy", BLIND, ids=repr)
def test_a_token_that_left_is_copied_and_others_still_read_it(model, sources, policy):
    """Layer by layer in obvious code, one source at a time."""
    encoder = model.decoder.source_encoder()
    found = run(model, sources, policy)
    for row in range(len(sources.input_ids)):
        part = sources.alone(row)
        layers = found.exit_layers[row][sources.mask[row].bool()]
        places = torch.arange(part.input_ids.shape[1])[None]
        hidden = encoder.embed(part.input_ids, places)
        context = encoder.context(hidden, part.mask)
        for layer in range(1, encoder.num_layers + 1):
            new = encoder.layer(layer - 1, hidden, context)
            hidden = torch.where((layers >= layer)[None, :, None], new, hidden)
        expected = encoder.finish(hidden)[0]
        assert_close(found.memory[row][sources.mask[row].bool()], expected, **CLOSE)
    if not isinstance(policy, policies.Saturation):  # two layers: nothing before the first exit
        assert found.exit_layers.eq(1).any()


def test_the_place_of_padding_changes_nothing(model, sources):
    right = run(model, sources, policies.Hash(1, 2))
    lengths = sources.mask.sum(dim=1)
    width = sources.mask.shape[1]
    turn = (torch.arange(width) + lengths[:, None]) % width  # padding to the left
    left = encode_source(
        model.decoder.source_encoder(),
        sources.input_ids.gather(1, turn),
        sources.mask.gather(1, turn),
        policies.Hash(1, 2),
    )
    for row in range(len(lengths)):
        mine = right.memory[row, : lengths[row]]
        assert_close(left.memory[row, width - lengths[row] :], mine, **CLOSE)


def test_generation_reads_what_the_encoder_gave(model, sources):
    hashed = policies.Hash(1, 2)
    settings = {"max_new_tokens": 6, "policy": "never", "return_dict_in_generate": True}
    plain = model.generate(**sources.inputs, **settings)
    same = model.generate(**sources.inputs, encoder_policy="never", **settings)
    assert torch.equal(plain.sequences, same.sequences)
    found = model.generate(**sources.inputs, encoder_policy=hashed, num_beams=2, **settings)
    own = model.start(**sources.inputs, policy="never", encoder_policy=hashed)
    memory = run(model, sources, hashed).memory
    real = sources.mask.bool()
    assert_close(own.source.memory[real], memory[real], atol=1e-4, rtol=1e-4)
    assert found.work.encoder is not None
    assert sum(layer.active for layer in found.work.encoder) < 2 * int(real.sum())


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (policies.Margin(0.5), "can read no logits"),
        (policies.LearnedGate(0.5), "has none"),
        (policies.Decay(policies.Margin(0.5)), "no meaning for tokens of a source"),
        (policies.Oracle(), "gold labels"),
    ],
    ids=repr,
)
def test_policies_that_make_no_sense(model, sources, policy, message):
    def ask() -> None:
        check_source_policy(policy)
        run(model, sources, policy)

    with pytest.raises(UserError, match=message):
        ask()


def test_work_is_that_of_the_rows_that_were_computed(model, sources):
    settings = {"max_new_tokens": 3, "policy": "never", "return_dict_in_generate": True}
    full, deep, cut = (
        decode_macs(
            model.decoder,
            model.generate(**sources.inputs, encoder_policy=policy, **settings).work,
        )
        for policy in ("never", policies.AssignedDepth(2), policies.AssignedDepth(1))
    )
    assert full == deep
    cost = model.decoder.source_encoder().cost(1)
    lengths = sources.mask.sum(dim=1)
    layer = int(lengths.sum()) * (cost.query + cost.key_value + cost.combine)
    assert full - cut == layer + int((lengths**2).sum()) * cost.pair


def test_training_sees_what_inference_does(sources):
    torch.manual_seed(0)
    config = DECODERS.get("t5").example_config("t5")
    config.dropout_rate = 0.0
    model = ExitModelForSeq2SeqLM.from_transformers(AutoModelForSeq2SeqLM.from_config(config))
    examples = [Pair([5, 6, 7], [8, 9, 2], [0, 8, 9]), Pair([12, 13], [30, 2], [0, 30])]

    def learn() -> tuple[Any, Any]:
        model.zero_grad(set_to_none=True)
        with torch.enable_grad():
            room = Seq2SeqLossModule(model.train(), from_config("joint"))
            total = room(MicroBatch(examples, [0, 1], 5), 0, 0.9, 0).total
            total.backward()
        encoder = model.network.get_encoder()
        return total.detach(), [
            block.layer[0].SelfAttention.q.weight.grad for block in encoder.block
        ]

    plain, _ = learn()
    model.configure(encoder_policy=policies.AssignedDepth(2))
    same, gradients = learn()
    assert_close(same, plain)
    assert all(gradient.any() for gradient in gradients)
    model.configure(encoder_policy=policies.AssignedDepth(1))
    other, gradients = learn()
    assert not torch.allclose(other, plain)
    assert gradients[0].any()
    assert gradients[1] is None or not gradients[1].any()
