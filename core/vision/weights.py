"""Weights of torch models: read from a file or the hub, checked, and named by their values."""

from __future__ import annotations

import hashlib
import logging
import pickle
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import torch
from huggingface_hub import constants, get_session
from safetensors.torch import load_file

from core.errors import ModelLoadError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_log = logging.getLogger(__name__)

StateDict = dict[str, torch.Tensor]

_WRAPPERS: Final = ("state_dict", "model_state_dict", "model")
"""Keys under which training loops save the weights, beside the optimiser's state."""

_PREFIXES: Final = ("module.", "_orig_mod.")
"""What DistributedDataParallel and torch.compile put before every name."""

_HUB_TIMEOUT_S: Final = 15.0
_HUB_SILENCE_S: Final = 30.0


def read_state_dict(path: Path) -> StateDict:
    """Read a ``.safetensors`` file, or a ``.pt`` file without running anything inside it.

    A ``.pt`` file may hold the plain state dict or wrap it as training loops do.

    Raises:
        ModelLoadError: the file is missing, damaged, or holds something else than weights.
    """
    setting = f"LOOKALIKE_MODEL_WEIGHTS={str(path)!r}"
    try:
        content = _read(path)
    except OSError as error:
        raise ModelLoadError(f"{setting} cannot be read: {error}.") from error
    except pickle.UnpicklingError as error:
        raise ModelLoadError(
            f"{setting} is damaged or holds more than tensors (a whole pickled model, a "
            "TorchScript archive); save model.state_dict() with torch.save or safetensors."
        ) from error
    except Exception as error:  # the readers raise many types on damaged bytes
        reason = str(error).partition("\n")[0]
        raise ModelLoadError(f"{setting} is damaged or no weights file: {reason}") from error
    state = _unwrap(content)
    if state is None:
        raise ModelLoadError(
            f"{setting} holds no state dict; save model.state_dict() with torch.save or "
            "safetensors."
        )
    return state


def _read(path: Path) -> object:
    if path.suffix == ".safetensors":
        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def _unwrap(content: object) -> StateDict | None:
    for key in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not content:
        return None
    if not all(isinstance(v, torch.Tensor) and isinstance(k, str) for k, v in content.items()):
        return None
    state: StateDict = dict(content)
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def fill(model: torch.nn.Module, state: Mapping[str, torch.Tensor], spec: str) -> None:
    """Copy `state` into `model`, every tensor of it and nothing else.

    Raises:
        ModelLoadError: names or shapes differ; the message gives the first of each.
    """
    own = model.state_dict()
    problems = {
        "missing": [name for name in own if name not in state],
        "unexpected": [name for name in state if name not in own],
        "of another shape": [
            f"{name} {list(state[name].shape)} instead of {list(own[name].shape)}"
            for name in own
            if name in state and state[name].shape != own[name].shape
        ],
    }
    # Old files lack this counter of training steps, which inference never reads.
    problems["missing"] = [n for n in problems["missing"] if not n.endswith("num_batches_tracked")]
    if any(problems.values()):
        found = "; ".join(
            f"{len(names)} {kind}, for instance {', '.join(names[:2])}"
            for kind, names in problems.items()
            if names
        )
        raise ModelLoadError(
            f"LOOKALIKE_MODEL_WEIGHTS does not fit LOOKALIKE_MODEL={spec!r}: {found}. "
            "Give the architecture that the file was made with."
        )
    model.load_state_dict(state, strict=False)


def weights_hash(model: torch.nn.Module) -> str:
    """SHA-256 over names, shapes and values of a model on the CPU in fp32.

    The same values give the same hash whatever file format or precision they were stored in.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if name.endswith("num_batches_tracked"):
            continue
        exact = tensor.to(torch.float32) if tensor.is_floating_point() else tensor.to(torch.int64)
        digest.update(f"{name}{list(exact.shape)}".encode())
        digest.update(exact.contiguous().numpy().tobytes())
    return digest.hexdigest()


@contextmanager
def hub_access(spec: str) -> Iterator[None]:
    """Let a library fetch weights, from its cache or the hub, and fail soon where it cannot.

    An unreachable hub is found out by one short request, and the libraries are then held to their
    cache: left alone they retry for minutes, even for files they already have. Proxies, tokens and
    ``HF_ENDPOINT``, ``HF_HOME``, ``HF_HUB_OFFLINE`` hold as everywhere.

    Raises:
        ModelLoadError: whatever goes wrong inside, with the ways out.
    """
    offline = constants.HF_HUB_OFFLINE
    silence = socket.getdefaulttimeout()
    reachable = not offline and _hub_answers(constants.ENDPOINT)
    constants.HF_HUB_OFFLINE = not reachable
    socket.setdefaulttimeout(_HUB_SILENCE_S)  # downloads outside the hub's client have none
    try:
        yield
    except ModelLoadError:
        raise
    except Exception as error:  # every client and library raises its own
        state = "" if reachable else f" The hub ({constants.ENDPOINT}) is not reachable."
        reason = str(error).partition("\n")[0]
        raise ModelLoadError(
            f"The weights of LOOKALIKE_MODEL={spec!r} could not be fetched: {reason}{state} "
            f"{offline_way(spec)}"
        ) from error
    finally:
        constants.HF_HUB_OFFLINE = offline
        socket.setdefaulttimeout(silence)


def offline_way(spec: str) -> str:
    """The sentence that says how to do without the hub."""
    return (
        "Without a network, download the checkpoint elsewhere and set LOOKALIKE_MODEL_WEIGHTS to "
        f"the .pt or .safetensors file, keeping LOOKALIKE_MODEL={spec}; or use "
        "LOOKALIKE_MODEL=classic, which needs none."
    )


def _hub_answers(endpoint: str) -> bool:
    try:
        get_session().head(endpoint, timeout=_HUB_TIMEOUT_S)
    except Exception as error:  # noqa: BLE001 - any failure at all means no answer
        _log.info("The model hub does not answer; only cached weights are used: %s", error)
        return False
    return True


@contextmanager
def quiet_root_logger() -> Iterator[None]:
    """Keep a library from logging through the root logger, and from configuring it."""

    def refuse(record: logging.LogRecord) -> bool:
        return record.module != "factory"

    root = logging.getLogger()
    placeholder = logging.NullHandler()
    root.addHandler(placeholder)
    root.addFilter(refuse)
    try:
        yield
    finally:
        root.removeFilter(refuse)
        root.removeHandler(placeholder)
