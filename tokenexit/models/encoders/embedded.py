"""The embeddings of a model: what stands for its lower layers, and the table of their states."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from torch import nn

from tokenexit.backbones import Backbone
from tokenexit.embeddings import UNKNOWN, NGramTable, build_embeddings, first_exit
from tokenexit.errors import UserError, unknown_name
from tokenexit.heads import ExitHeads
from tokenexit.models.encoders.embedding_shape import shape_of
from tokenexit.models.encoders.ngram_table import Checked, check_tabled, make_table
from tokenexit.models.folders.names import TABLE
from tokenexit.models.settings import ExitSettings


class Embedded(ABC):
    """The part of a model that has to do with what its texts enter with."""

    settings: ExitSettings
    heads: ExitHeads
    encoder: Any
    _checked: Checked | None = None

    @property
    @abstractmethod
    def backbone(self) -> Backbone:
        """The network in pieces, as it is."""

    @property
    def own_embeddings(self) -> bool:
        """Whether nothing stands for lower layers."""
        return self.heads.embeddings.layers == 0

    def lower_modules(self) -> list[nn.Module]:
        """What embeddings that stand for layers are computed with; none where none do.

        Layers that share their weights with those above are not among them.
        """
        embeddings, backbone = self.heads.embeddings, self.backbone
        gate = getattr(embeddings, "gate", None)
        if gate is None:
            return []
        depth = type(embeddings).stands_for(backbone.num_layers, **_settings(self.settings))
        stack: Any = backbone.base.get_submodule(backbone.stack) if backbone.stack else ()
        return [backbone.base.embeddings, *list(stack)[:depth], gate]

    def use_embeddings(self, embeddings: Mapping[str, Any] | str | None) -> Self:
        """Let embeddings stand for lower layers; they are to be trained, and saved with the model.

        Args:
            embeddings: Such as ``{"name": "ngram", "layers": 6}``; None or ``plain`` for the
                network's own. What the former learned is lost.

        Returns:
            This model.

        Raises:
            UserError: There is no such kind, exits lie among the layers it would stand for, or the
                model is used with the runtime ``static``.
        """
        model: Any = self
        lowest = first_exit(embeddings, self.backbone.num_layers)
        if self.settings.exit_layers[0] < lowest:
            among = [layer for layer in self.settings.exit_layers if layer < lowest]
            raise UserError(
                f"Embeddings that stand for {lowest - 1} layers leave no place for exits among "
                f"them, and there are some after layers {among}: add exits to the network anew, "
                f"with exit_layers from {lowest} on."
            )
        if lowest > 1 and model.runtime == "static":
            raise without_static()
        put_embeddings(self.heads, embeddings, self.backbone)
        plain = {"name": embeddings} if isinstance(embeddings, str) else embeddings
        model.configure(embeddings=dict(plain) if plain and lowest > 1 else None)
        return self

    def make_table(
        self,
        texts: Sequence[Any],
        most: int = 100_000,
        path: str | Path | None = None,
        unknown: str | None = None,
    ) -> NGramTable:
        """States of the commonest n-grams of texts, as the model computes them now.

        Args:
            texts: As ``predict`` reads them.
            most: N-grams at most; those of a token and its next one count as well where unknown
                trigrams fall back on them.
            path: A new file to write states to; in memory when None.
            unknown: What is done about trigrams that it lacks, from now on: ``compute`` or
                ``fallback``; as it is when None.

        Returns:
            A table for ``use_table``.

        Raises:
            UserError: The model has embeddings of its own, or the texts no n-gram.
        """
        if unknown is not None:
            check_tabled(self.heads.embeddings)
            self._use_unknown(unknown)
        sentences = [window.sentence for window in self.encoder.encode(texts)]
        return make_table(self, sentences, most, None if path is None else Path(path))

    def _use_unknown(self, unknown: str) -> None:
        embeddings: Any = self.heads.embeddings
        if unknown not in UNKNOWN:
            raise unknown_name("rule for unknown n-grams", unknown, UNKNOWN)
        embeddings.unknown = unknown
        model: Any = self
        model.configure(embeddings={**(self.settings.embeddings or {}), "unknown": unknown})

    def use_table(self, table: NGramTable | str | Path | None) -> Self:
        """Look states of lower layers up from now on; None: compute them all.

        It is saved with the model. Training does without: take it away before, and make another.

        Args:
            table: From ``make_table``, or its file, of which a text reads what it needs.

        Returns:
            This model.

        Raises:
            UserError: It was made with other weights, or nothing here looks states up.
        """
        found = NGramTable.load(Path(table)) if isinstance(table, str | Path) else table
        model: Any = self
        if found is not None and model.widths is not None:
            raise UserError(
                "A table of n-grams is saved with the weights that made it, and with widths not "
                "all are saved: model.use_widths(None) first, or no table."
            )
        self._checked = None if found is None else Checked(self, found)
        self.heads.embeddings.use_table(found)
        return self

    def check_table(self, rows: int = 0) -> None:
        """Refuse the table if the weights that made it have changed.

        Args:
            rows: Tokens that are about to be computed: a large call looks closer.

        Raises:
            UserError: They have.
        """
        table = self.heads.embeddings.table
        if table is None:
            return
        if self._checked is None or not self._checked.fits(self, table, rows):
            self._checked = None
            self._checked = Checked(self, table)

    def write_further(self, folder: Path) -> None:
        """Write the table, if there is one."""
        table = self.heads.embeddings.table
        if table is not None:
            table.save(folder / TABLE)


def _settings(settings: ExitSettings) -> dict[str, Any]:
    return {key: value for key, value in (settings.embeddings or {}).items() if key != "name"}


def put_embeddings(
    heads: ExitHeads, config: Mapping[str, Any] | str | None, backbone: Backbone
) -> None:
    """Build embeddings for a network and put them beside its heads."""
    made = build_embeddings(config, shape_of(backbone))
    weight = next(backbone.model.parameters())
    heads.embeddings = made.to(device=weight.device, dtype=weight.dtype).train(heads.training)


def without_static() -> UserError:
    """The error for embeddings where work is planned on the device."""
    return UserError(
        "The runtime 'static' knows no embeddings that stand for layers, and the model has some: "
        'use model.use(runtime="eager").'
    )
