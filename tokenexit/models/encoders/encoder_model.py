"""What taggers and text classifiers share: an encoder with exits that labels, and its folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

from torch import Tensor, nn
from transformers import PreTrainedModel

from tokenexit.backbones import adapt
from tokenexit.errors import UserError
from tokenexit.halting import Halted, Trace
from tokenexit.halting.cost import macs, plain_macs
from tokenexit.heads import ExitHeads, check_exit_layers
from tokenexit.models import folders
from tokenexit.models.chosen import chosen_policy
from tokenexit.models.encoders.classifier import with_classifier
from tokenexit.models.encoders.embedded import put_embeddings
from tokenexit.models.encoders.encoding import TextWindow
from tokenexit.models.encoders.exit_encoder import ExitEncoder
from tokenexit.models.encoders.exit_table import ExitTable
from tokenexit.models.encoders.exits import collect_exits
from tokenexit.models.encoders.forward import ExitOutput, check_unserved, read_rows
from tokenexit.models.encoders.labeller import Labeller
from tokenexit.models.encoders.run import run
from tokenexit.models.encoders.selected import put_selectors
from tokenexit.models.encoders.vocabulary import check_vocabulary, embeddings
from tokenexit.models.folders.names import TABLE
from tokenexit.policies import Policy, PolicyLike
from tokenexit.policies.base import check_unit


class EncoderModel(ExitEncoder, Labeller):
    """An ordinary transformers classifier of tokens or texts, with exits.

    It computes with the network as it is at each call, in evaluation mode whatever mode it is in,
    which nothing but ``train`` and ``eval`` changes. Several threads may predict with one model;
    none may change its weights meanwhile.

    Args:
        network: A transformers model with a classification head.
        tokenizer: Its (fast) tokenizer.
        heads: Exit heads below the top.
        settings: Everything else that is saved with the model.
    """

    form: ClassVar[str]
    """What such networks are, as messages name it."""

    mapping: ClassVar[Any]
    """transformers' networks of this form, by configuration."""

    answer: ClassVar[Callable[..., ExitOutput]]
    """Makes what ``forward`` gives."""

    encoder: Any
    """Turns texts into windows."""

    # --- building, loading -----------------------------------------------------------------

    @classmethod
    def _network(
        cls, backbone: PreTrainedModel, tokenizer: Any, labels: Sequence[str]
    ) -> PreTrainedModel:
        """A network with these classes, of the one given.

        Raises:
            UserError: Its head has learned others, or the tokenizer does not fit.
        """
        network = with_classifier(backbone, labels, cls.mapping, cls.auto_class, cls.form)
        check_vocabulary(tokenizer, embeddings(network))
        return network

    @classmethod
    def _built(cls, loaded: folders.Loaded) -> Self:
        settings, shape = loaded.settings, adapt(loaded.network)
        exits = loaded.exits(shape.num_layers)
        size = shape.hidden_size, len(settings.labels), shape.num_layers
        heads = ExitHeads(settings.heads, exits[:-1], *size)
        put_embeddings(heads, settings.embeddings, shape)
        put_selectors(heads, settings.heads, shape)
        loaded.fill(heads, loaded.weights)
        model = cls(loaded.network, loaded.tokenizer, heads, settings)
        table = loaded.origin.with_name(TABLE)
        return model.use_table(table) if table.is_file() else model

    # --- labelling -------------------------------------------------------------------------

    def _read(self, texts: Any, targets: Any) -> list[TextWindow]:
        return self.with_depths(self.encoder.encode(texts, targets))

    def _run(self, read: Any, policy: Policy, batch_size: int, halted: Halted) -> Trace:
        return run(self, read, policy, batch_size=batch_size, halted=halted)

    def _exits(self, read: Any, batch_size: int) -> ExitTable:
        return collect_exits(self, read, batch_size)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        *,
        policy: PolicyLike | None = None,
        **others: Any,
    ) -> ExitOutput:
        """Label token ids as transformers' models do, with the policy inside: for pipelines.

        Where the words of a tagger begin is told by the tokenizer's marks and by punctuation.

        Args:
            input_ids: ``[B, S]``.
            attention_mask: ``[B, S]``, 1 for real tokens.
            token_type_ids: ``[B, S]``, which of two texts.
            labels: Of a tagger ``[B, S]``, -100 for no label; else ``[B]``, classes or values.
            policy: Who halts; the model's own policy when None.
            others: Nothing else is served.

        Raises:
            UserError: Bad inputs, or an argument that exits do not serve.
        """
        check_unserved(others)
        chosen = chosen_policy(self, policy)
        check_unit(chosen, self.policy_unit)
        rows = read_rows(self, input_ids, attention_mask, token_type_ids)

        def label(windows: Sequence[TextWindow]) -> Trace:
            halted = self._halted(None, None)
            windows = self.with_depths(windows)
            return self.decided(self._run(windows, chosen, max(len(rows), 1), halted))

        return type(self).answer(self, rows, input_ids.shape, labels, label)

    def mac_ratio(self, trace: Trace) -> float:
        """Multiply-accumulates of a run, over those of the plain model on the same tokens."""
        plain = plain_macs(self.backbone, trace.lengths.tolist(), batches=len(trace.lengths))
        return macs(self.used_backbone, self.heads, trace.work) / plain if plain else 1.0


def new_parts(
    network: PreTrainedModel,
    labels: Sequence[str],
    exit_layers: Sequence[int] | int | None,
    heads: Mapping[str, Any] | None,
) -> tuple[ExitHeads, tuple[int, ...], dict[str, Any]]:
    """Fresh heads for a network: the heads, the exit layers, the heads' settings.

    Raises:
        UserError: No such exit layer, or an unknown head.
    """
    if heads is not None and not isinstance(heads, Mapping):
        raise UserError(f'heads must be a mapping such as {{"name": "linear"}}, not {heads!r}.')
    kind = dict(heads or {"name": "linear"})
    shape = adapt(network)
    exits = check_exit_layers(exit_layers, shape.num_layers)
    stack = ExitHeads(kind, exits[:-1], shape.hidden_size, len(labels), shape.num_layers)
    put_selectors(stack, kind, shape)
    for layer in stack.layers:
        stack.at(layer).start_from(own_pooler(network, shape.hidden_size))
    stack.to(device=network.device, dtype=network.dtype)
    return stack, exits, kind


def own_pooler(network: PreTrainedModel, width: int) -> nn.Linear | None:
    """The dense layer that a network pools its first token with, if it has one so wide."""
    pooler: Any = getattr(network.base_model, "pooler", None)
    pooler = getattr(pooler, "dense", pooler)
    fits = isinstance(pooler, nn.Linear) and pooler.weight.shape == (width, width)
    return pooler if fits else None
