"""Linear layers whose weights lie in the order that a processor multiplies them in.

torch's own layers bring bf16 weights into that order again at every pass, which for one picture
takes longer than multiplying. oneDNN lets the order be kept, as torch's compiler does where a C++
compiler is installed; none is needed here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import Linear, Module, MultiheadAttention
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from core.vision.attention import write_out_attention

if TYPE_CHECKING:
    from collections.abc import Callable

_KINDS = (Linear, NonDynamicallyQuantizableLinear)  # no others, for they may do something else


class PackedLinear(Module):
    """What a `Linear` on a CPU does, with its weights in oneDNN's order."""

    def __init__(self, layer: Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.bias = layer.bias
        self._packed = _op("_reorder_linear_weight")(layer.weight.detach().contiguous())

    @property
    def weight(self) -> torch.Tensor:
        """The `[out_features, in_features]` weights as a `Linear` has them, made anew."""
        weight: torch.Tensor = self._packed.to_dense()
        return weight

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        """Map `[..., in_features]` to `[..., out_features]`."""
        options: tuple[Any, ...] = ("none", [], "")  # nothing is done to the products
        made: torch.Tensor = _op("_linear_pointwise")(given, self._packed, self.bias, *options)
        return made


def pack(network: Module) -> None:
    """Pack every linear layer of a network on a CPU, in evaluation mode, for good.

    Attention that is one module is written out first, for its projections to be layers. Does
    nothing where oneDNN is missing or knows no bf16 on this processor.
    """
    present = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if not (present and _op("_is_mkldnn_bf16_supported")()):
        return
    write_out_attention(network)
    places = [
        (parent, name, part)
        for parent in network.modules()
        for name, part in parent.named_children()
        if isinstance(part, Linear)
        and type(part) in _KINDS
        and not isinstance(parent, MultiheadAttention)
    ]
    for parent, name, part in places:
        setattr(parent, name, PackedLinear(part))


def _op(name: str) -> Callable[..., Any]:
    """One of those that torch's compiler uses; there is no public way to them."""
    op: Callable[..., Any] = getattr(torch.ops.mkldnn, name)
    return op
