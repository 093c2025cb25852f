"""Linear layers with packed weights give what plain ones give."""

from __future__ import annotations

import pytest
import torch
from torch.nn import GELU, LayerNorm, Linear, Module, MultiheadAttention, Sequential

from core.vision.packed import PackedLinear, pack

pytestmark = pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="oneDNN knows no bf16 here"
)


class Block(Module):
    """A transformer's block."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = LayerNorm(64)
        self.attention = MultiheadAttention(64, 4, batch_first=True)
        self.rest = Sequential(Linear(64, 128), GELU(), Linear(128, 64, bias=False))

    def forward(self, given: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        x = self.norm(given)
        mixed, _ = self.attention(x, x, x, need_weights=False, attn_mask=mask)
        made: torch.Tensor = given + mixed + self.rest(mixed)
        return made


@pytest.fixture
def block() -> Block:
    torch.manual_seed(0)
    made = Block().eval().requires_grad_(requires_grad=False).to(torch.bfloat16)
    torch.nn.init.normal_(made.attention.in_proj_bias)  # zero to begin with
    return made


def near(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.allclose(one.float(), other.float(), rtol=0.02, atol=0.03)


@pytest.mark.parametrize("shape", [(1, 64), (7, 64), (2, 50, 64)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_packed_layer_gives_the_same(shape: tuple[int, ...], bias: bool) -> None:
    layer = Linear(64, 96, bias=bias).to(torch.bfloat16).requires_grad_(requires_grad=False)
    packed = PackedLinear(layer)
    given = torch.randn(shape, dtype=torch.bfloat16)
    assert near(packed(given), layer(given))
    assert torch.equal(packed.weight, layer.weight)


def test_a_packed_network_gives_the_same(block: Block) -> None:
    given = torch.randn((3, 50, 64), dtype=torch.bfloat16)
    mask = torch.full((50, 50), float("-inf"), dtype=torch.bfloat16).triu(1)
    with torch.inference_mode():
        plain, masked = block(given), block(given, mask)
        pack(block)
        kinds = {name: type(part) for name, part in block.named_modules()}
        assert near(block(given), plain)
        assert near(block(given, mask), masked)
    assert kinds["rest.0"] is kinds["rest.2"] is PackedLinear
    assert sum(kind is PackedLinear for kind in kinds.values()) == 6  # 3 projections, 1 after them
