"""A small model of every kind, its folder, and ways to damage it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoConfig, AutoModel, AutoModelForSeq2SeqLM, PreTrainedTokenizerFast

from tokenexit import (
    CascadeForSequenceClassification,
    ExitModelForSeq2SeqLM,
    ExitModelForSequenceClassification,
    ExitModelForTokenClassification,
    policies,
)
from tokenexit.models.scale import Scale
from tokenexit.models.words.crf import TagCRF

TEXTS = ["Ada was born in London .", "paris and she"]
RESULTS = {
    "test": {
        "split": "test", "metric": "accuracy", "quality": 0.5, "quality_full_depth": 0.6,
        "relative_quality": 0.9, "mean_exit_layer": 1.5, "num_layers": 3, "depth_speedup": 2.0,
        "mac_ratio": 0.5, "exit_histogram": [1, 1, 1], "figures": {}, "notes": {},
    }
}  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """One kind of model.

    Attributes:
        make: Makes a model; those of other seeds have other shapes and labels.
        loads: Its class.
        texts: What it is asked.
    """

    make: Callable[[int], Any]
    loads: Any
    texts: list[str]

    def ask(self, model: Any) -> list[dict[str, Any]]:
        return [result.to_dict() for result in model.predict(self.texts)]


@pytest.fixture(scope="session")
def damage() -> ModuleType:
    """``damage.py``, by path: tests are no package."""
    spec = importlib.util.spec_from_file_location("damage", Path(__file__).parent / "damage.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def encoder(seed: int, vocabulary: int) -> Any:
    torch.manual_seed(seed)
    return AutoModel.from_config(
        AutoConfig.for_model(
            "bert",
            vocab_size=vocabulary,
            hidden_size=16 + 8 * seed,
            num_hidden_layers=3,
            num_attention_heads=2,
            intermediate_size=20,
            max_position_embeddings=32,
            pad_token_id=0,
            initializer_range=0.5,
        )
    )


def word_tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {"<pad>": 0, "<unk>": 1, "</s>": 2} | {f"w{n}": n for n in range(3, 60)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


@pytest.fixture(scope="session")
def kinds(wordpiece: Any) -> dict[str, Kind]:
    """All kinds, by name."""

    def tagger(seed: int) -> Any:
        labels = ["O", "B-LOC"] if seed else ["O", "B-PER", "I-PER"]
        model = ExitModelForTokenClassification.from_transformers(
            encoder(seed, len(wordpiece)),
            wordpiece,
            labels,
            heads={"name": "mlp", "inner": 6 + seed, "gate": True},
        ).eval()
        model.configure(
            policy=policies.Window(policies.Entropy(0.7), 3),
            calibration={"target": {"min_quality": 0.99}, "split": "validation", "reached": True},
            training={"model": "x", "epochs": 2, "lr": 1e-3},
            results=RESULTS,
        )
        return model

    def crf(seed: int) -> Any:
        model = tagger(seed)
        model.crf = TagCRF(len(model.labels)).eval()
        model.configure(decode="crf")
        return model

    def classifier(seed: int) -> Any:
        labels = ["a", "b", "c"] if seed else ["no", "yes"]
        model = ExitModelForSequenceClassification.from_transformers(
            encoder(seed, len(wordpiece)), wordpiece, labels
        ).eval()
        model.configure(policy=policies.Entropy(0.6))
        return model

    def regression(seed: int) -> Any:
        return ExitModelForSequenceClassification.from_transformers(
            encoder(seed, len(wordpiece)), wordpiece, ["value"], scale=Scale(2.0 + seed, 1.5)
        ).eval()

    def cascade(seed: int) -> Any:
        model = CascadeForSequenceClassification(
            [classifier(seed), classifier(seed)], policy=policies.MaxProb(0.55)
        )
        model.configure(results=RESULTS)
        return model.eval()

    def generator(seed: int) -> Any:
        torch.manual_seed(seed)
        config = AutoConfig.for_model(
            "t5",
            vocab_size=60,
            d_model=16 + 8 * seed,
            d_kv=8,
            d_ff=20,
            num_layers=2,
            num_decoder_layers=3,
            num_heads=2,
            decoder_start_token_id=0,
            pad_token_id=0,
            eos_token_id=2,
        )
        network = AutoModelForSeq2SeqLM.from_config(config)
        with torch.no_grad():
            for weight in network.parameters():
                weight.add_(torch.randn_like(weight), alpha=0.3)
        model = ExitModelForSeq2SeqLM.from_transformers(network, word_tokenizer(), gate=True).eval()
        model.configure(policy=policies.Hash(1, 3), generation={"max_new_tokens": 5})
        return model

    sources = ["w7 w8 w9", "w11 w30"]
    return {
        "tagger": Kind(tagger, ExitModelForTokenClassification, TEXTS),
        "crf": Kind(crf, ExitModelForTokenClassification, TEXTS),
        "classifier": Kind(classifier, ExitModelForSequenceClassification, TEXTS),
        "regression": Kind(regression, ExitModelForSequenceClassification, TEXTS),
        "cascade": Kind(cascade, CascadeForSequenceClassification, TEXTS),
        "generator": Kind(generator, ExitModelForSeq2SeqLM, sources),
    }


@pytest.fixture(scope="session")
def folders(
    kinds: dict[str, Kind], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, int], Path]:
    """The folder of a model of a kind and seed: copy it before damaging it."""
    made: dict[tuple[str, int], Path] = {}

    def folder(name: str, seed: int = 0) -> Path:
        if (name, seed) not in made:
            made[name, seed] = tmp_path_factory.mktemp("models") / f"{name}-{seed}"
            kinds[name].make(seed).save_pretrained(made[name, seed])
        return made[name, seed]

    return folder
