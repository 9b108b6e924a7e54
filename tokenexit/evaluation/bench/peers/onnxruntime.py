"""ONNX Runtime: the encoder exported from the same checkpoint, in fp32 and with int8 weights."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tokenexit.backbones import evaluated
from tokenexit.evaluation.bench.contender import Answers, Contender
from tokenexit.evaluation.bench.peers.base import Peer
from tokenexit.evaluation.bench.peers.registry import PEERS
from tokenexit.evaluation.bench.plain_encoder import padded, word_answers
from tokenexit.models.encoders.encoder_model import EncoderModel
from tokenexit.models.encoders.encoding import TextWindow


@PEERS.register("onnxruntime")
class OnnxRuntime(Peer):
    """Weights are quantised as its own guide does: dynamically, to signed 8 bits."""

    title = "ONNX Runtime, sorted"
    packages = ("onnxruntime", "onnx")

    def encoder(
        self, model: EncoderModel, windows: Sequence[TextWindow], precision: str, folder: Path
    ) -> Contender:
        """Export it, once for both precisions, and open a session."""
        plain = folder / "fp32.onnx"
        if not plain.exists():
            _export(model, windows, plain)
        path = plain
        if precision == "int8":
            quantization: Any = import_module("onnxruntime.quantization")
            path = folder / "int8.onnx"
            signed = quantization.QuantType.QInt8
            quantization.quantize_dynamic(plain, path, weight_type=signed)
        return _OnnxEncoder(self.title, precision, model, path)


class _OnnxEncoder(Contender):
    by_length = True
    foreign = True

    def __init__(self, name: str, precision: str, model: EncoderModel, path: Path) -> None:
        onnxruntime: Any = import_module("onnxruntime")
        self.name, self.precision, self._model = name, precision, model
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self._wanted = {one.name for one in self._session.get_inputs()}

    def run(self, batch: Sequence[TextWindow]) -> NDArray[Any]:
        inputs = padded(self._model, [window.sentence for window in batch])
        given = {name: value for name, value in inputs.items() if name in self._wanted}
        logits: NDArray[np.float32] = self._session.run(None, given)[0]
        return logits if self._model.scale is not None else logits.argmax(axis=-1)

    def answers(self, batch: Sequence[TextWindow], output: NDArray[Any]) -> Answers:
        return word_answers(self._model, batch, output)


class _Logits(nn.Module):
    """The network with its inputs in a row and one output, as exporters want it."""

    def __init__(self, network: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.network, self.names = network, names

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.network(**dict(zip(self.names, inputs, strict=True))).logits


def _export(model: EncoderModel, windows: Sequence[TextWindow], path: Path) -> None:
    # Two texts: a batch of one would be taken for a constant.
    example = padded(model, [(window or windows[0]).sentence for window in [*windows, None][:2]])
    names = list(example)
    network = _Logits(evaluated(model.network), names).eval()
    axes = {0: "texts", 1: "tokens"}
    torch.onnx.export(
        network,
        tuple(torch.from_numpy(value) for value in example.values()),
        str(path),
        input_names=names,
        output_names=["logits"],
        dynamic_axes={**dict.fromkeys(names, axes), "logits": {0: "texts"}},
        # The newer exporter takes ten times as long and its graphs are no faster.
        dynamo=False,
    )
