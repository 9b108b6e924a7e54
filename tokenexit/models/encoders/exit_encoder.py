"""An encoder with exits, in the parts that inference and training ask for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Self

from torch import Tensor, nn
from transformers import PreTrainedModel

from tokenexit import kernels
from tokenexit.backbones import Backbone, Inference, adapt, sliced
from tokenexit.backbones.narrow_view import NarrowView
from tokenexit.context import ContextGate
from tokenexit.errors import UserError
from tokenexit.halting.compiled import CompiledEncoder, compile_encoder
from tokenexit.halting.selecting import check_beside
from tokenexit.heads import ExitHeads, check_top
from tokenexit.models.context_gate import Judged, named_weights
from tokenexit.models.encoders.embedded import Embedded
from tokenexit.models.encoders.embedded import without_static as without_static_layers
from tokenexit.models.encoders.encoding import TextWindow
from tokenexit.models.encoders.reconstruction import DepthEstimator
from tokenexit.models.encoders.selected import check_selected
from tokenexit.models.exit_model import ExitModel
from tokenexit.models.scale import Scale
from tokenexit.models.settings import ExitSettings
from tokenexit.reducers import Reducer, ReducerLike, from_config
from tokenexit.reducers.base import check_fate, check_scorers
from tokenexit.reducers.reconstruction import Reconstruction
from tokenexit.selectors import check_selectors
from tokenexit.static import StaticEncoder, check_network
from tokenexit.widths import Widths, WidthsLike
from tokenexit.widths import from_config as widths_from_config


class ExitEncoder(Judged, Embedded, ExitModel):
    """The part of a model that has to do with its network: what is run on windows of texts.

    What labels texts stands above it, in ``EncoderModel``; the functions between take one of these.
    """

    scale: Scale | None = None
    """Of a regression, what its exits' numbers stand for."""

    def __init__(
        self, network: PreTrainedModel, tokenizer: Any, heads: ExitHeads, settings: ExitSettings
    ) -> None:
        super().__init__(network, tokenizer, settings)
        self.heads = heads
        self._backbone = adapt(network)
        self._reducer: tuple[Any, Reducer | None] = (None, None)
        self._widths: tuple[Any, Widths | None] = (None, None)
        self._narrow_view = NarrowView()
        self._estimator: tuple[Reducer | None, DepthEstimator | None] = (None, None)
        self._inference = self._inference.narrowed(self._narrower)

    def _new_inference(self) -> Inference[Backbone]:
        return Inference(adapt)

    def configure(self, **settings: Any) -> None:
        """See ``SavedModel``."""
        super().configure(**settings)
        self._inference = self._inference.narrowed(self._narrower)

    def exit_weights(self) -> dict[str, Tensor]:
        """Weights of the heads and the gate."""
        return self.heads.state_dict()

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.settings.labels

    @property
    def backbone(self) -> Backbone:
        """The network in pieces, as it is: for training."""
        if self._backbone.model is not self.network:
            self._backbone = adapt(self.network)
        return self._backbone

    @property
    def used_backbone(self) -> Backbone:
        """The same without heads and neurons that ``use_widths`` leaves out.

        Gradients go to the whole network's weights.
        """
        return self._narrow_view.of(self.backbone, self._narrower)

    @property
    def inference_backbone(self) -> Backbone:
        """The network in pieces as of now, in evaluation mode and without gradients.

        Equal up to rounding, or in the precision that ``use`` was told; in whatever mode the model
        is, which is left in it.
        """
        return self.for_inference()

    def for_inference(self, rows: int = 0) -> Backbone:
        """The same, told how many tokens will be computed with it: a large call looks closer."""
        self._inference = self._inference.narrowed(self._narrower)
        found: Backbone = self._inference.get(self.network, rows)
        check_top(self.settings.exit_layers[-1], found.num_layers)
        self.check_table(rows)
        return found

    @property
    def inference_heads(self) -> ExitHeads:
        """The heads in evaluation mode, likewise."""
        return self._inference.beside(self.heads)

    def compiled(self, backbone: Backbone) -> CompiledEncoder | None:
        """The network and its heads in compiled kernels, if ``use`` was told a precision.

        Args:
            backbone: From ``for_inference``.

        Returns:
            None where there are no kernels, a reducer or selected widths are used, embeddings stand
            for layers, or they do not know the family or what has been done to it: torch's
            operators compute the same.
        """
        precision = self._inference.precision
        if precision not in kernels.KINDS or self.reducer is not None or not self.own_embeddings:
            return None
        if backbone.selected is not None:
            return None

        def make() -> CompiledEncoder | None:
            return compile_encoder(backbone, self.inference_heads, precision)

        return self._inference.keep(backbone, "kernels", make, self.heads, in_place=True)

    @property
    def reducer(self) -> Reducer | None:
        """What takes rows out of the middle of texts, if ``use_reducer`` was told one."""
        told = self.settings.reducer
        if self._reducer[0] is not told:  # made once: it may hold a large table
            self._reducer = told, None if told is None else from_config(told)
        return self._reducer[1]

    def use_reducer(self, reducer: ReducerLike | None) -> Self:
        """Compute fewer rows of each text from now on, in training as well; None for all.

        It is saved with the model. Torch's operators compute it, also where ``use`` was told a
        precision for which there are compiled kernels.

        Args:
            reducer: Such as ``significance:0.8``, ``{"name": "core_set", "ratio": 0.7}`` or a
                value of ``tokenexit.reducers``.

        Returns:
            This model.

        Raises:
            UserError: There is no such reducer, it would drop words of a tagger, it reads scores
                and the model has no scorers, or the model is used with the runtime ``static``.
        """
        chosen = None if reducer is None else from_config(reducer)
        if chosen is not None:
            chosen = chosen.with_special(self.tokenizer.all_special_ids)
            check_fate(chosen, words=not self.backbone.of_texts)
            check_scorers(chosen, self.heads.scorers)
            if self.selects:
                check_beside(chosen)
            if self.runtime == "static":
                raise without_static(chosen)
        model: Any = self
        model.configure(reducer=None if chosen is None else chosen.to_config())
        return self

    @property
    def widths(self) -> Widths | None:
        """Which heads and neurons are computed, if ``use_widths`` was told."""
        told = self.settings.widths
        if self._widths[0] is not told:  # read once: it may name thousands
            self._widths = told, None if told is None else widths_from_config(told)
        return self._widths[1]

    @property
    def selects(self) -> bool:
        """Whether texts select their heads and neurons."""
        return self.widths is not None and self.widths.selected is not None

    @property
    def _narrower(self) -> Widths | None:
        """The same where they leave anything out."""
        return None if self.widths == Widths() else self.widths

    def use_widths(self, widths: WidthsLike | None) -> Self:
        """Compute fewer heads and neurons of each layer from now on, in training too; None for all.

        Inference multiplies with smaller matrices. The network keeps all of its weights; a folder
        written meanwhile has those of the others at zero, so that transformers alone, which
        computes all, answers the same.

        Args:
            widths: A share of each layer's, such as ``0.5``, of which the first are kept;
                ``{"heads": 0.5, "neurons": [96, 96, [0, 3, 5]]}``; ``{"selected": 0.5}`` for those
                that selectors choose for each text; or ``tokenexit.widths.Widths``.

        Returns:
            This model.

        Raises:
            UserError: They do not fit the network, or it has none that can be taken out; or they
                are selected, and there are no selectors or what does not serve them is used.
        """
        chosen = None if widths is None else widths_from_config(widths)
        if chosen is not None:
            if self.heads.embeddings.table is not None:
                raise UserError(
                    "The model looks states of n-grams up that whole layers have made, and widths "
                    "would make others: take the table away first, model.use_table(None)."
                )
            check_selectors(chosen, self.heads.selectors)
            how = self._inference.precision, self.device.type, self.runtime == "static"
            check_selected(chosen, *how)
            if chosen.selected is not None:
                check_beside(self.reducer)
            else:
                sliced(self.backbone, chosen, learn=True)
        model: Any = self
        model.configure(widths=None if chosen is None else chosen.to_config())
        return self

    def with_depths(self, windows: Sequence[TextWindow]) -> list[TextWindow]:
        """Windows with the depths that the reducer reads, if it reads any.

        Raises:
            UserError: What it gets them from is not there, or does not fit.
        """
        reducer = self.reducer
        if not isinstance(reducer, Reconstruction):
            return list(windows)
        if self._estimator[0] is not reducer:
            depth = self.backbone.num_layers
            self._estimator = reducer, DepthEstimator(reducer, self.tokenizer, depth)
        estimator = self._estimator[1]
        assert estimator is not None
        return estimator.estimate(windows)

    def use(
        self, precision: str | None = None, runtime: str | None = None, *, free: bool = False
    ) -> Self:
        """See ``ExitModel``; where widths are selected, weights and layers stay as they are."""
        check_selected(self.widths, precision, self.device.type, runtime == "static")
        return super().use(precision, runtime, free=free)

    def _check_static(self, inference: Inference[Any]) -> None:
        check_selected(self.widths, None, "", static=True)
        if self.reducer is not None:
            raise without_static(self.reducer)
        if not self.own_embeddings:
            raise without_static_layers()
        check_network(inference.get(self.network), self.heads)

    def static(self, backbone: Backbone) -> StaticEncoder:
        """The network and its heads in memory of fixed size, unchecked.

        Args:
            backbone: From ``for_inference``.
        """

        def make() -> StaticEncoder:
            return StaticEncoder(backbone, self.inference_heads, len(self.labels))

        return self._inference.keep(backbone, "static", make, self.heads, in_place=True)

    def can_generate(self) -> bool:
        """No: asked by transformers' pipelines."""
        return False

    @property
    def context(self) -> ContextGate | None:
        """The gate that the policy ``context_gate`` asks, if one was fitted."""
        return self.heads.context

    @property
    def last_stage(self) -> Self:
        """The model that decides in the end; of a cascade the last."""
        return self

    @property
    def row_unit(self) -> str:
        """Kind of the rows that leave: words, or whole texts."""
        return "text" if self.backbone.of_texts else "word"

    def judged_weights(self) -> dict[str, Tensor]:
        """Weights of all exits, the top's included, by name: what a context gate is fitted to."""
        top = named_weights(self.backbone.final_head(), "top.")
        return named_weights(self.heads.exits) | top

    def put_context(self, gate: ContextGate | None) -> None:
        """Keep a context gate, unchecked; see ``use_context``."""
        self.heads.context = gate

    def parts(self) -> dict[str, list[nn.Module]]:
        """See ``ExitModel``."""
        embeddings: Any = self.network.get_input_embeddings()
        found: dict[str, list[nn.Module]] = {
            "network": [self.network],
            "embeddings": [embeddings],
            "top": [self.backbone.final_head()],
            "heads": [self.heads.exits],
        }
        names = "gate", "scorers", "selectors"
        beside = {name: getattr(self.heads, name) for name in names}
        found |= {name: [part] for name, part in beside.items() if part is not None}
        lower = self.lower_modules()
        return found | ({"lower": lower} if lower else {})

    def head_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters that start from nothing: those of the heads, the top's included."""
        yield from self.backbone.final_head().parameters()
        yield from self.heads.parameters()

    def scorer_parameters(self) -> Iterator[nn.Parameter]:
        """Those of them that belong to scorers and selectors; bars learn as heads do."""
        if self.heads.scorers is not None:
            yield from self.heads.scorers.scorers.parameters()
        if self.heads.selectors is not None:
            yield from self.heads.selectors.parameters()


def without_static(reducer: Reducer) -> UserError:
    """The error for a reducer where work is planned on the device."""
    return UserError(
        f"The runtime 'static' does not know reducers, and the model has {reducer!r}: use "
        'model.use(runtime="eager"), or model.use_reducer(None).'
    )
