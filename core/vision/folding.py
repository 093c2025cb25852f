"""Batch norms folded into the convolutions before them, which a running network does not miss.

At inference a batch norm is a factor and an offset for each channel (Ioffe and Szegedy 2015), and
so can be part of the weights: fewer steps, each of which costs time with a picture alone.
"""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
from timm.layers.norm_act import BatchNormAct2d
from torch.nn.utils.fusion import fuse_conv_bn_weights


def fold_norms(network: torch.nn.Module) -> torch.nn.Module:
    """Fold in place every timm batch norm that is declared right after a convolution.

    For networks that also run them in that order, as timm's MobileNets do.
    """
    for parent in list(network.modules()):
        for (_, conv), (name, norm) in pairwise(list(parent.named_children())):
            if isinstance(conv, torch.nn.Conv2d) and isinstance(norm, BatchNormAct2d):
                conv.weight, conv.bias = fuse_conv_bn_weights(
                    conv.weight,
                    conv.bias,
                    cast("torch.Tensor", norm.running_mean),
                    cast("torch.Tensor", norm.running_var),
                    norm.eps,
                    norm.weight,
                    norm.bias,
                )
                setattr(parent, name, norm.act)
    return network
