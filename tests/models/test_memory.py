"""Texts of all lengths leave no more behind than texts of one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.slow

BATCHES = {"prediction": 500, "bf16 prediction": 600, "bf16 training": 250, "sources": 500}
# Importing takes longer than most of it, so it is done once for all: each kind is a fork.
SCRIPT = """
import json, os, random, sys
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForSeq2SeqLM, AutoModelForTokenClassification
from tokenexit.backbones import BACKBONES, Inference, adapt
from tokenexit.decoders import DECODERS, adapt_decoder
from tokenexit.halting import Sentence, encode, pack
from tokenexit.heads import ExitHeads

torch.set_num_threads(1)
draw = random.Random(0)
for kind, batches in json.loads(sys.argv[1]).items():
    child = os.fork()
    if child == 0:
        break
    assert os.waitpid(child, 0)[1] == 0, kind
else:
    sys.exit()

class Loss:
    def __init__(self): self.total = torch.zeros(())
    def arrive(self, signals, words):
        self.total = self.total + signals.logits.float().square().mean()
    def leave(self, halted, staying): pass

def sentence():
    words = draw.randrange(1, 60)
    return Sentence([2, *[5] * words, 3], [[place] for place in range(1, words + 1)])

def resident():
    with open("/proc/self/statm") as numbers:
        return int(numbers.read().split()[1]) * 4096 // 10**6

config = BACKBONES.get("bert").example_config("bert")
config.num_hidden_layers = 2
network = AutoModelForTokenClassification.from_config(config).eval()
heads = ExitHeads({"name": "linear"}, (1,), 32, 2).eval()
if kind == "bf16 prediction":
    network.to(torch.bfloat16), heads.to(torch.bfloat16)
config = DECODERS.get("t5").example_config("t5")
generator = AutoModelForSeq2SeqLM.from_config(config).eval()

def step():
    batch = pack([sentence() for _ in range(draw.randrange(1, 9))])
    if kind == "bf16 training":
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = Loss()
            encode(adapt(network), heads, batch, loss)
        loss.total.backward()
        return
    with torch.inference_mode():
        if kind == "sources":
            ids = batch.input_ids[None, : draw.randrange(1, 400)]
            Inference_of_texts.get(generator).encode(ids, torch.ones_like(ids))
        else:
            encode(inference.get(network), heads, batch, Loss())

inference, Inference_of_texts = Inference(adapt, True), Inference(adapt_decoder, True)
for number in range(batches):
    step()
    if number == 20:
        before = resident()
print(json.dumps([kind, resident() - before]))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="counts pages as Linux does")
@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="no oneDNN, no caches")
def test_ragged_batches() -> None:
    names = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
    surroundings = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, json.dumps(BATCHES)],
        env=surroundings, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    grown = dict(map(json.loads, done.stdout.splitlines()))
    assert grown.keys() == BATCHES.keys()
    assert not {kind: more for kind, more in grown.items() if more >= 100}  # megabytes
