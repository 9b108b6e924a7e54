"""The certificates of models of other kinds, with labels and without."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from tokenexit import CascadeForSequenceClassification, ExitModelForSequenceClassification, policies
from tokenexit.backbones import BACKBONES
from tokenexit.calibration.certificate import require_certificate
from tokenexit.calibration.certificate.certificate import Told, write_certificate
from tokenexit.calibration.certificate.check import check_certificate
from tokenexit.calibration.certificate.rerun import texts_that_differ
from tokenexit.calibration.certifying import certified
from tokenexit.calibration.open import workload_of
from tokenexit.data.pairs import PairSplit
from tokenexit.data.texts import TextSplit
from tokenexit.errors import UserError
from tokenexit.models.folders.names import MARKERS
from tokenexit.models.fresh.encoder import train_tokenizer
from tokenexit.models.fresh.encoder_decoder import fresh_seq2seq, train_subword_tokenizer
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM

WORDS = "red green blue one two three up down left right".split()
DRAW = random.Random(0)
TEXTS = [" ".join(DRAW.choices(WORDS, k=5)) for _ in range(24)]
LABELS = ["yes", "no"]


def generator():
    torch.manual_seed(0)
    tokenizer = train_subword_tokenizer(TEXTS, 320, False)
    config = {
        "model_type": "t5", "d_model": 16, "d_kv": 8, "d_ff": 16, "num_heads": 2,
        "num_layers": 2, "num_decoder_layers": 2, "dropout_rate": 0.0,
    }  # fmt: skip
    made = ExitModelForSeq2SeqLM.from_transformers(fresh_seq2seq(config, tokenizer), tokenizer)
    made.configure(generation={"max_new_tokens": 4}, policy=policies.MaxProb(0.01))
    return made.eval(), PairSplit(TEXTS, TEXTS[::-1], None, "here")


def cascade():
    tokenizer = train_tokenizer([WORDS], 200, False)
    stages = []
    for seed in range(2):
        torch.manual_seed(seed)
        config = BACKBONES.get("bert").example_config("bert")
        config.num_labels, config.vocab_size = len(LABELS), 200
        network = AutoModelForSequenceClassification.from_config(config)
        with torch.no_grad():  # so that answers differ from text to text
            for weight in network.parameters():
                weight.add_(torch.randn_like(weight), alpha=0.2)
        made = ExitModelForSequenceClassification.from_transformers(network, tokenizer, LABELS)
        stages.append(made.eval())
    found = CascadeForSequenceClassification(stages)
    found.configure(policy=policies.MaxProb(0.01))
    gold = [[DRAW.choice(LABELS)] for _ in TEXTS]
    return found, TextSplit([[text] for text in TEXTS], gold, "here")


def certified_in(folder, made):
    model, split = made()
    model.save_pretrained(folder)
    promise = "token f1 loss <= 0.9 with 60%" if made is generator else "differs <= 0.97 with 60%"
    found = certified(model, split, promise, name="heldout")
    assert found.evidence is not None
    write_certificate(folder, model, found.evidence, Told("here", "heldout"))
    return model


def changed(path, **settings):
    data = json.loads(path.read_text("utf-8"))
    for name, value in settings.items():
        data[name] = {**data[name], **value} if isinstance(value, dict) else value
    path.write_text(json.dumps(data), encoding="utf-8")


@pytest.mark.parametrize(
    ("made", "place", "settings", "said"),
    [
        (generator, "", {"generation": {"max_new_tokens": 12}},
         "settings.generation.max_new_tokens is 4 in it and 12 here"),
        (generator, "", {"generation": {"repetition_penalty": 2.0}},
         "settings.generation.repetition_penalty is nothing in it and 2.0 here"),
        (generator, "", {"source_prefix": "say: "}, "settings.source_prefix is '' in it"),
        (generator, "", {"pending": "eager"}, "settings.pending is 'lazy' in it and 'eager' here"),
        (cascade, "stage-1", {"halted": "restore"}, "settings.stage-1.halted"),
        (cascade, "stage-2", {"batching": "by_depth"}, "settings.stage-2.batching"),
        (cascade, "", {"allow_different_tokenizers": True}, "settings.allow_different_tokenizers"),
        (cascade, "", {"metric": "f1"}, "settings.metric"),
    ],
)  # fmt: skip
def test_settings_that_changed_are_named(made, place, settings, said, tmp_path):
    model = certified_in(tmp_path, made)
    require_certificate(model, tmp_path)
    folder = tmp_path / place
    changed(next(p for n in MARKERS if (p := folder / n).is_file()), **settings)
    for check in (check_certificate, lambda folder: require_certificate(model, folder)):
        with pytest.raises(UserError) as error:
            check(tmp_path)
        assert said in str(error.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"pending": "eager"}, "settings.pending"),
        ({"batching": "by_depth"}, "settings.batching is nothing in it and 'by_depth' here"),
        ({"anything": 1}, "settings.anything is nothing in it and 1 here"),
    ],
)
def test_what_a_command_changes_is_named(settings, said, tmp_path):
    model = certified_in(tmp_path, generator)
    with pytest.raises(UserError) as error:
        require_certificate(model, tmp_path, **settings)
    assert said in str(error.value)


def test_a_model_that_was_changed_since_it_was_loaded_is_refused(tmp_path):
    model = certified_in(tmp_path, generator)
    model.configure(generation={"max_new_tokens": 5})
    with pytest.raises(UserError, match=r"max_new_tokens is 4 in it and 5 here"):
        require_certificate(model, tmp_path)
    check_certificate(tmp_path)
    other = certified_in(tmp_path / "other", cascade)
    other.stages[0].configure(halted="restore")
    with pytest.raises(UserError, match=r"settings\.stage-1\.halted"):
        require_certificate(other, tmp_path / "other")


@pytest.mark.parametrize(
    ("made", "promise"),
    [
        (generator, "token f1 loss <= 0.9 with 60% and layers saved >= 1.01 with 60%"),
        (cascade, "every class accuracy loss <= 0.9 with 60%"),
        (cascade, "differs <= 0.97 with 60%"),
    ],
)
def test_a_certificate_is_made_checked_and_run_again(made, promise, tmp_path):
    model, split = made()
    bare = promise.startswith("differs")
    split = replace(split, tags=None) if bare else split
    model.save_pretrained(tmp_path)
    found = certified(model, split, promise, name="heldout")
    assert found.evidence is not None
    told = write_certificate(tmp_path, model, found.evidence, Told("here", "heldout"))
    assert found.reached
    assert found.best.depth_speedup > 1.01
    certificate, evidence = check_certificate(tmp_path)
    assert certificate == told
    assert require_certificate(model, tmp_path, batching="fixed") == told
    work = workload_of(model, split, "heldout", 5)  # whatever the batches
    assert texts_that_differ(work, evidence) == 0
    for policy in evidence.policies:
        policy["threshold"] = 1.0  # of those nobody leaves early
    assert texts_that_differ(work, evidence) > 0
    with pytest.raises(UserError, match="1 of its 24 texts is not in this split"):
        texts_that_differ(work.on(split.take(range(23))), evidence)
    weights = next(path for path in sorted(tmp_path.rglob("model.safetensors")))
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(UserError, match=r"model\.files\..*model\.safetensors"):
        check_certificate(tmp_path)
