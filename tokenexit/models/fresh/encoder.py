"""A small tokenizer and an untrained encoder, for demos and for languages without a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tokenexit.errors import UserError, unknown_name

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

_SPECIAL = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}


def train_tokenizer(
    sentences: Iterable[list[str]], vocab_size: int = 4000, lowercase: bool = False
) -> PreTrainedTokenizerFast:
    """Train a WordPiece tokenizer that frames text as BERT does.

    Args:
        sentences: Words of each sentence.
        vocab_size: Upper bound; a small corpus gives fewer.
        lowercase: Fold case (and strip accents). Names are easier to find with case.

    Raises:
        UserError: ``vocab_size`` is too small, or there is not one word.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    if vocab_size < 100:
        raise UserError(f"vocab_size must be at least 100, not {vocab_size!r}.")
    normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    lines = [normalizer.normalize_str(" ".join(words)) for words in sentences]
    letters = Counter(letter for line in lines for letter in line if not letter.isspace())
    if not letters:
        raise UserError("A tokenizer needs text to be trained on; the sentences hold no word.")
    # The trainer numbers inner letters by the order of a hash table, which changes from run to
    # run and decides ties; letters that are there from the start keep their numbers.
    common = sorted(letter for letter, _ in letters.most_common(min(1000, vocab_size // 3)))
    fixed = [*_SPECIAL.values(), *common, *(f"##{letter}" for letter in common)]
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        special_tokens=fixed,
        limit_alphabet=len(common),
        show_progress=False,
    )
    trained = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    trained.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trained.train_from_iterator(lines, trainer)
    # A second tokenizer, because the first takes the letters for special tokens.
    tokenizer = Tokenizer(models.WordPiece(trained.get_vocab(), unk_token="[UNK]"))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    frame = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=frame
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=512,
        # Not every encoder takes token types, and one sequence needs none.
        model_input_names=["input_ids", "attention_mask"],
        **_SPECIAL,
    )


def fresh_encoder(
    description: Mapping[str, Any], tokenizer: PreTrainedTokenizerFast, num_labels: int
) -> PreTrainedModel:
    """Build an untrained token classifier; call `transformers.set_seed` before it.

    Args:
        description: ``model_type`` and any field of that family's config, such as
            ``{"model_type": "bert", "hidden_size": 128, "num_hidden_layers": 6}``.
        tokenizer: Gives the vocabulary size and the special ids.
        num_labels: Classes of the head.

    Raises:
        UserError: Unknown family or field, or values that do not make a model.
    """
    from transformers import AutoModelForTokenClassification
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES as FAMILIES,
    )

    given = {
        f"{kind}_token_id": getattr(tokenizer, f"{kind}_token_id") for kind in ("pad", "cls", "sep")
    }
    given |= {"bos_token_id": given["cls_token_id"], "eos_token_id": given["sep_token_id"]}
    given |= {"vocab_size": len(tokenizer), "num_labels": num_labels}
    config_class, fields = read_description(description, FAMILIES, given)
    with readable_failure(description):
        config = config_class(**fields, **given)
        _check_shape(config)
        return AutoModelForTokenClassification.from_config(config)


def read_description(
    description: Mapping[str, Any], families: Iterable[str], given: Iterable[str]
) -> tuple[Any, dict[str, Any]]:
    """Take a model description apart: class of its configuration, and the fields of it.

    Args:
        description: ``model_type`` and fields of that family's configuration.
        families: Every ``model_type`` that will do.
        given: Fields that are no business of the description.

    Raises:
        UserError: Unknown family or field, or one of those given.
    """
    from transformers import AutoConfig

    fields = dict(description)
    if "model_type" not in fields:
        example = "bert" if "bert" in families else "t5"
        raise UserError(f"The model description names no model_type; add one, such as {example}.")
    model_type = fields.pop("model_type")
    if model_type not in families:
        raise unknown_name("model_type", model_type, families)
    config_class: Any = type(AutoConfig.for_model(str(model_type)))
    for name in fields:
        if name in given:
            raise UserError(
                f"Leave {name!r} out of the model description: it follows from the "
                "tokenizer and the data."
            )
    allowed = set(config_class().to_dict()) | set(config_class.attribute_map)
    for name in fields:
        if name not in allowed:
            raise unknown_name(f"{config_class.model_type} setting", name, allowed)
    return config_class, fields


@contextmanager
def readable_failure(description: Mapping[str, Any]) -> Iterator[None]:
    """Say of which description no model can be built, whatever a configuration raises."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"No {description['model_type']} model can be built from {dict(description)}: "
            f"{type(error).__name__}: {error}"
        ) from error


def _check_shape(config: Any) -> None:
    if config.num_hidden_layers < 1:
        raise UserError(f"num_hidden_layers must be at least 1, not {config.num_hidden_layers}.")
    size, heads = config.hidden_size, config.num_attention_heads
    if not isinstance(heads, int) or heads < 1 or size % heads:
        raise UserError(
            f"hidden_size={size} cannot be shared out among num_attention_heads={heads}; "
            "the one must be a multiple of the other."
        )
