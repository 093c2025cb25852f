"""Self-attention written out, for a compiler to see which of its steps can become one.

`torch.nn.MultiheadAttention` projects queries, keys and values together and then turns the result
over several times. OpenVINO makes each turn, and the rounding of its result to 8 bits, a step of
its own that copies the activations. Written as three projections and a reshaping of each, nearly
all of that becomes part of the steps beside it. What is computed is the same but for rounding
(Vaswani et al., Attention Is All You Need, NeurIPS 2017, section 3.2.2).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import torch
from torch.nn import Linear, Module, ModuleList, MultiheadAttention
from torch.nn.functional import scaled_dot_product_attention

if TYPE_CHECKING:
    from collections.abc import Iterator


class WrittenOut(Module):
    """What a `MultiheadAttention` in evaluation mode does with one input and no mask.

    It asks the module that it stands for about anything else: other keys, a mask, weights.
    """

    batch_first = False  # what torch's fused encoder layer asks before it reads the weights itself

    def __init__(self, attention: MultiheadAttention) -> None:
        super().__init__()
        self._whole = attention
        weights = cast("torch.Tensor", attention.in_proj_weight).chunk(3)
        biases = attention.in_proj_bias.chunk(3)
        self._projections = ModuleList(
            _linear(weight, bias) for weight, bias in zip(weights, biases, strict=True)
        )
        self._out = attention.out_proj

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        **options: Any,  # noqa: ANN401  # the other module's own
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Map `[n, length, width]` to the same, as `MultiheadAttention` does."""
        asked = {"need_weights": True, **options}
        if key is not query or value is not query or any(map(_is_given, asked.values())):
            mixed, weights = self._whole(query, key, value, **options)
            return mixed, weights
        count, length, width = query.shape
        heads = self._whole.num_heads
        parts = [
            projection(query).reshape(count, length, heads, width // heads).transpose(1, 2)
            for projection in self._projections
        ]
        mixed = scaled_dot_product_attention(*parts).transpose(1, 2)
        return self._out(mixed.reshape(count, length, width)), None


@contextmanager
def attention_written_out(network: Module) -> Iterator[None]:
    """Put `WrittenOut` in place of every `MultiheadAttention` it can stand for, and take it back.

    Those without biases, with other widths of keys or values, or with batches second, stay.
    """
    places = _places(network)
    try:
        _write_out(places)
        yield
    finally:
        for parent, name, part in places:
            setattr(parent, name, part)


def write_out_attention(network: Module) -> None:
    """Put `WrittenOut` in place of every `MultiheadAttention` it can stand for, for good."""
    _write_out(_places(network))


def is_transformer(network: Module) -> bool:
    """Whether any part is attention: torch's own, or what timm and others call so."""
    return any(
        isinstance(part, MultiheadAttention) or type(part).__name__ == "Attention"
        for part in network.modules()
    )


def _places(network: Module) -> list[tuple[Module, str, MultiheadAttention]]:
    return [
        (parent, name, part)
        for parent in network.modules()
        for name, part in parent.named_children()
        if isinstance(part, MultiheadAttention) and _is_plain(part)
    ]


def _write_out(places: list[tuple[Module, str, MultiheadAttention]]) -> None:
    for parent, name, part in places:
        setattr(parent, name, WrittenOut(part).eval())


def _is_plain(attention: MultiheadAttention) -> bool:
    return (
        attention.batch_first
        and attention.in_proj_weight is not None
        and attention.in_proj_bias is not None
        and attention.bias_k is None
        and not attention.add_zero_attn
    )


def _is_given(option: object) -> bool:
    return option is not None and option is not False


def _linear(weight: torch.Tensor, bias: torch.Tensor) -> Linear:
    made = Linear(weight.shape[1], weight.shape[0], device="meta", dtype=weight.dtype)
    made.weight = torch.nn.Parameter(weight, requires_grad=False)
    made.bias = torch.nn.Parameter(bias, requires_grad=False)
    return made
