"""Arguments of ``generate``: what exits serve, and what cannot work, refused before computing."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any

from transformers import GenerationConfig
from transformers.generation.configuration_utils import GenerationMode

from tokenexit.errors import UserError, close_name

MODES = {
    GenerationMode.GREEDY_SEARCH: "greedy search",
    GenerationMode.SAMPLE: "sampling",
    GenerationMode.BEAM_SEARCH: "beam search",
    GenerationMode.BEAM_SAMPLE: "beam sampling",
}

# What would run the model's own forward, or asks for what a step does not have.
REFUSED = (
    "assistant_model",
    "assistant_tokenizer",
    "assistant_early_exit",
    "is_assistant",
    "use_mtp",
    "prompt_lookup_num_tokens",
    "custom_generate",
    "past_key_values",
    "cache",
    "cache_params",
    "cache_implementation",
    "cache_config",
    "continuous_batching_config",
    "prefill_chunk_size",
    "token_healing",
    "synced_gpus",
    "guidance_scale",
    "negative_prompt_ids",
    "negative_prompt_attention_mask",
    "decoder_inputs_embeds",
    "decoder_attention_mask",
    "output_attentions",
    "output_hidden_states",
    "watermarking_config",
    "penalty_alpha",
    "dola_layers",
    "num_beam_groups",
    "constraints",
    "force_words_ids",
)

CALLBACKS = ("logits_processor", "stopping_criteria", "streamer", "prefix_allowed_tokens_fn")
"""Arguments with which code of the caller's runs between steps."""

DRY_RUN: dict[str, Any] = {"max_new_tokens": 2, "min_new_tokens": None, "min_length": None}
"""Over other settings: enough to see whether they work."""

_OBJECTS = (*CALLBACKS, "generation_config", "decoder_input_ids", "tokenizer", "trust_remote_code")
_COUNTS = {
    "max_new_tokens": 1, "max_length": 1, "num_beams": 1, "num_return_sequences": 1,
    "min_new_tokens": 0, "min_length": 0, "draft_tokens": 1,
}  # fmt: skip
_NOTHING: dict[str, tuple[float, ...]] = {
    "num_beam_groups": (0, 1), "guidance_scale": (1,), "penalty_alpha": (0,),
}  # fmt: skip
_FIELDS = {name for name in vars(GenerationConfig()) if name[0] != "_"} | {"draft_tokens"}
_IDS = ("decoder_start_token_id", "forced_bos_token_id", "forced_eos_token_id", "pad_token_id")


class GenerationSettings:
    """What ``generate`` will go by: its arguments, then a given object, then the model's own.

    Args:
        given: Arguments of ``generate``.
        own: The model's ``generation_config``; None where there is no model yet.
    """

    def __init__(self, given: Mapping[str, Any], own: GenerationConfig | None = None) -> None:
        self.given = given
        self._object = given.get("generation_config")
        if self._object is not None and not isinstance(self._object, GenerationConfig):
            raise UserError(
                "generation_config must be a GenerationConfig of transformers, not "
                f"{type(self._object).__name__}; give single settings as arguments of generate."
            )
        self._own = own

    def __getitem__(self, name: str) -> Any:
        """The value that counts, None where nobody says anything."""
        if name in self.given:
            return self.given[name]
        found = getattr(self._object, name, None)
        return getattr(self._own, name, None) if found is None else found

    def is_given(self, name: str) -> bool:
        """Whether the caller says it, in whichever way."""
        return self.given.get(name, getattr(self._object, name, None)) is not None

    def place(self, name: str) -> str:
        """Where a value stands, if not in the arguments, as the end of a message."""
        if self.is_given(name):
            return ""
        return (
            f" It stands in the model's generation_config: set it to None there, or pass "
            f"{name}=None."
        )


def check_settings(
    given: Mapping[str, Any],
    own: GenerationConfig | None = None,
    *,
    vocab_size: int | None = None,
    plain: bool = False,
) -> GenerationSettings:
    """Refuse settings that exits do not serve, and such as cannot work.

    Args:
        given: Arguments of ``generate``.
        own: The model's ``generation_config``.
        vocab_size: Entries of the vocabulary, if known.
        plain: Whether these are settings to be saved, so that they must be plain data.

    Raises:
        UserError: Names the argument, and says what is allowed.
    """
    settings = GenerationSettings(given, own)
    _check_served(settings)
    _check_names(settings, own, plain)
    _check_numbers(settings)
    _check_together(settings)
    if vocab_size is not None:
        for name in _IDS:
            value = settings[name]
            for number in value if isinstance(value, list | tuple) else (value,):
                if isinstance(number, int) and not 0 <= number < vocab_size:
                    raise UserError(
                        f"{name} is {number}, but the vocabulary has {vocab_size} entries, counted "
                        f"from 0.{settings.place(name)}"
                    )
    return settings


def _check_served(settings: GenerationSettings) -> None:
    for name in REFUSED:
        value = settings[name]
        if value is not None and value is not False and not _harmless(name, value):
            raise UserError(
                f"generate cannot take {name} with exits. It serves {', '.join(MODES.values())} "
                "with logits processors, stopping criteria and streamers; for anything else use "
                "the plain model (.network), or build on start() and step()." + settings.place(name)
            )
    if settings["use_cache"] is False:
        where = "" if settings.is_given("use_cache") else " of the model's generation_config"
        raise UserError(
            f"generate with exits always keeps its own cache; leave use_cache out{where}."
        )


def _harmless(name: str, value: Any) -> bool:
    """Whether a value asks for nothing, as transformers reads it."""
    return isinstance(value, int | float) and value in _NOTHING.get(name, ())


def _check_names(settings: GenerationSettings, own: GenerationConfig | None, plain: bool) -> None:
    known = _FIELDS if plain else _FIELDS | set(_OBJECTS)
    custom = {} if own is None else vars(own)
    for name, value in settings.given.items():
        if name in known or name in custom or (value is None and not plain):
            continue
        close = close_name(name, sorted(known))
        hint = "" if close is None else f" Did you mean {close!r}?"
        raise UserError(
            f"generate has no argument {name!r}.{hint} It takes the fields of transformers' "
            f"GenerationConfig{'' if plain else ', ' + ', '.join(_OBJECTS[:-1])}."
        )


def _check_numbers(settings: GenerationSettings) -> None:
    for name, least in _COUNTS.items():
        value = settings[name]
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        if value is not None and (not whole or value < least):
            raise UserError(f"{name} must be a whole number from {least}, not {value!r}.")
    sampling = settings["do_sample"]
    if sampling is not None and not isinstance(sampling, bool):
        raise UserError(f"do_sample must be true or false, not {sampling!r}.")
    for name, low, high in (
        ("temperature", 0, None), ("repetition_penalty", 0, None), ("top_p", 0, 1),
    ):  # fmt: skip
        value = settings[name]
        if value is None or (name != "repetition_penalty" and not sampling):
            continue
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not value > low or (high is not None and value > high):
            bound = f"above {low}" + ("" if high is None else f" and at most {high}")
            raise UserError(
                f"{name} must be a number {bound}, not {value!r}."
                + (" For greedy search set do_sample=False." if name == "temperature" else "")
            )


def _check_together(settings: GenerationSettings) -> None:
    """Settings that are right alone and contradict each other."""
    count, beams = settings["num_return_sequences"] or 1, settings["num_beams"] or 1
    if count > beams and (beams > 1 or not settings["do_sample"]):
        raise UserError(
            f"num_return_sequences={count} is more than num_beams={beams}: greedy search gives one "
            "text a source, and beam search as many as it has beams. Raise num_beams, or set "
            "do_sample=True."
        )
    most = settings["max_new_tokens"]
    least = settings["min_new_tokens"]
    if least and most and settings.is_given("min_new_tokens") and least > most:
        raise UserError(f"min_new_tokens={least} is more than max_new_tokens={most}.")
    short, long = settings["min_length"], settings["max_length"]
    given = settings.is_given("min_length") and settings.is_given("max_length")
    if given and short > long and most is None:
        raise UserError(f"min_length={short} is more than max_length={long}.")
