"""Attention written out, against torch's own."""

from __future__ import annotations

import pytest
import torch
from torch.nn import ModuleDict, MultiheadAttention, Sequential, TransformerEncoderLayer

from core.vision.attention import WrittenOut, attention_written_out, write_out_attention

WIDTH, HEADS = 32, 4


@pytest.fixture
def attention() -> MultiheadAttention:
    torch.manual_seed(0)
    made = MultiheadAttention(WIDTH, HEADS, batch_first=True).eval()
    torch.nn.init.normal_(made.in_proj_bias)
    torch.nn.init.normal_(made.out_proj.bias)
    return made


@pytest.fixture
def tokens() -> torch.Tensor:
    return torch.randn(3, 7, WIDTH, generator=torch.Generator().manual_seed(1))


def test_it_gives_what_torch_gives(attention: MultiheadAttention, tokens: torch.Tensor) -> None:
    with torch.inference_mode():
        ours, weights = WrittenOut(attention)(tokens, tokens, tokens, need_weights=False)
        theirs, _ = attention(tokens, tokens, tokens, need_weights=False)
    assert weights is None
    torch.testing.assert_close(ours, theirs)


def test_torchs_fused_layer_leaves_its_attention_to_it(tokens: torch.Tensor) -> None:
    layer = TransformerEncoderLayer(WIDTH, HEADS, batch_first=True).eval()
    with torch.inference_mode():
        theirs = layer(tokens)
        write_out_attention(layer)
        torch.testing.assert_close(layer(tokens), theirs)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"need_weights": False, "attn_mask": torch.ones(7, 7).triu(1).bool()},
        {"need_weights": False, "key_padding_mask": torch.arange(21).reshape(3, 7) % 7 > 4},
    ],
)
def test_whatever_else_is_asked_torch_answers(
    attention: MultiheadAttention, tokens: torch.Tensor, options: dict[str, object]
) -> None:
    with torch.inference_mode():
        ours = WrittenOut(attention)(tokens, tokens, tokens, **options)
        theirs = attention(tokens, tokens, tokens, **options)
    torch.testing.assert_close(ours, theirs)


def test_other_keys_are_attended_to(attention: MultiheadAttention, tokens: torch.Tensor) -> None:
    others = tokens.flip(0)
    with torch.inference_mode():
        ours, _ = WrittenOut(attention)(tokens, others, others, need_weights=False)
        theirs, _ = attention(tokens, others, others, need_weights=False)
    torch.testing.assert_close(ours, theirs)


def test_a_network_is_left_as_it_was(attention: MultiheadAttention, tokens: torch.Tensor) -> None:
    network = ModuleDict({"first": Sequential(attention)})
    parts = list(network.named_modules())
    with attention_written_out(network), torch.inference_mode():
        inside = network["first"][0]
        assert isinstance(inside, WrittenOut)
        ours, _ = inside(tokens, tokens, tokens, need_weights=False)
    assert list(network.named_modules()) == parts
    torch.testing.assert_close(ours, attention(tokens, tokens, tokens, need_weights=False)[0])


@pytest.mark.parametrize(
    "options", [{"batch_first": False}, {"bias": False}, {"kdim": 8}, {"add_zero_attn": True}]
)
def test_what_it_cannot_stand_for_stays(options: dict[str, object]) -> None:
    network = Sequential(MultiheadAttention(WIDTH, HEADS, **{"batch_first": True, **options}))
    with attention_written_out(network):
        assert isinstance(network[0], MultiheadAttention)


def test_it_is_taken_back_after_an_error() -> None:
    network = Sequential(MultiheadAttention(WIDTH, HEADS, batch_first=True))
    with pytest.raises(ZeroDivisionError), attention_written_out(network):
        raise ZeroDivisionError
    assert isinstance(network[0], MultiheadAttention)
