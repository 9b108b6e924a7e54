"""A small tokenizer and an untrained encoder-decoder, for demos and for new languages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tokenexit.errors import UserError
from tokenexit.models.fresh.encoder import read_description, readable_failure

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

_SPECIAL = {"pad_token": "<pad>", "eos_token": "</s>", "bos_token": "<s>"}
_SMALLEST = 300  # 256 bytes, the special tokens and a few merges
_LIKE_T5 = ("t5", "mt5", "umt5", "longt5", "switch_transformers")


def train_subword_tokenizer(
    texts: Iterable[str], vocab_size: int = 4000, lowercase: bool = False
) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer that ends texts as T5 does: ``... </s>``.

    It knows no unknown text, and decoding gives back exactly what was encoded, spaces and
    ``</s>`` written out included.

    Args:
        texts: Sources and targets alike; both sides share the vocabulary.
        vocab_size: Upper bound; a small corpus gives fewer.
        lowercase: Fold case, which decoding then cannot bring back.

    Raises:
        UserError: ``vocab_size`` is too small, or there is no text.
    """
    from tokenizers import (
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
        trainers,
    )
    from transformers import PreTrainedTokenizerFast

    if vocab_size < _SMALLEST:
        raise UserError(f"vocab_size must be at least {_SMALLEST}, not {vocab_size!r}.")
    lines = [text for text in texts if text.strip()]
    if not lines:
        raise UserError("A tokenizer needs text to be trained on; every text is empty.")
    tokenizer = Tokenizer(models.BPE())
    if lowercase:
        tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=list(_SPECIAL.values()),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines, trainer)
    end = ("</s>", tokenizer.token_to_id("</s>"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[end]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=512,
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
        split_special_tokens=True,  # "</s>" in a text is text
        **_SPECIAL,
    )


def like_t5(description: Any) -> bool:
    """Whether a fresh model is described, of T5's family."""
    return isinstance(description, Mapping) and description.get("model_type") in _LIKE_T5


def fresh_seq2seq(
    description: Mapping[str, Any], tokenizer: PreTrainedTokenizerFast
) -> PreTrainedModel:
    """Build an untrained encoder-decoder; call `transformers.set_seed` before it.

    The decoder starts with ``<pad>`` if T5 is the family, as T5's do, and with ``</s>`` if it
    is one of BART's.

    Args:
        description: ``model_type`` and any field of that family's config, such as
            ``{"model_type": "t5", "d_model": 256, "num_layers": 6, "num_heads": 4}``.
        tokenizer: Gives the vocabulary size and the special ids.

    Raises:
        UserError: Unknown family or field, or values that do not make a model.
    """
    from transformers import AutoModelForSeq2SeqLM
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES as FAMILIES,
    )

    start = tokenizer.pad_token_id if like_t5(description) else tokenizer.eos_token_id
    given = {
        "vocab_size": len(tokenizer),
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "decoder_start_token_id": start,
        # The defaults are ids of the families' own vocabularies.
        "forced_bos_token_id": None,
        "forced_eos_token_id": None,
    }
    config_class, fields = read_description(description, FAMILIES, [*given, "decoder_vocab_size"])
    with readable_failure(description):
        config = config_class(**fields, **given)
        _check_shape(config)
        return AutoModelForSeq2SeqLM.from_config(config)


def _check_shape(config: Any) -> None:
    for name in ("num_layers", "encoder_layers", "num_decoder_layers", "decoder_layers"):
        layers = getattr(config, name, 1)
        if layers < 1:
            raise UserError(f"{name} must be at least 1, not {layers}.")
    if getattr(config, "num_decoder_layers", 0) > getattr(config, "num_layers", 0) > 0:
        raise UserError(
            f"num_decoder_layers={config.num_decoder_layers} is more than num_layers="
            f"{config.num_layers}; transformers generates from {config.model_type} models only if "
            "the decoder is no deeper than the encoder."
        )
    for name in ("num_heads", "encoder_attention_heads", "decoder_attention_heads"):
        heads = getattr(config, name, 1)
        free = hasattr(config, "d_kv")  # the width of a T5 head is a setting of its own
        if heads < 1 or (not free and config.d_model % heads):
            raise UserError(
                f"d_model={config.d_model} cannot be shared out among {name}={heads}; the one "
                "must be a multiple of the other."
            )
