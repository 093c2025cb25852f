"""Teach the student the teacher's answers, and write its weights.

    python -m training.distil BANK --out FOLDER [--steps N] [--seed N]

Each step takes a batch of views, distorts some, and pulls the student's vectors towards the
teacher's: by their cosine, and by which views of the batch each is nearest to. Labels are not
looked at. Small pictures come first, because they are quicker. What is kept is a running mean of
the weights.

FOLDER gets `network.safetensors` (float16), `losses.tsv` (step, both losses, views a second), and
`state.pt`, from which a stopped run goes on; delete it to start afresh.
"""

from __future__ import annotations

import argparse
import math
import time
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch.nn import functional

from training.distortions import distorted
from training.student import make_student, normalised
from training.targets import make_targets

if TYPE_CHECKING:
    from numpy.typing import NDArray

BATCH = 64
PEAK_RATE = 1.5e-3
WARM_UP = 600  # steps
SIZES = ((0.6, 80), (0.88, 96), (1.0, 128))  # until which share of the steps pictures are how large
LIKENESS_WEIGHT = 0.5
TEMPERATURE = 0.1  # of the likeness between views
LOG_EVERY = 200  # steps; the state is saved as often


@dataclass
class Bank:
    """Every view with its target."""

    views: list[Any]  # shards, each `[4096, 128, 128, 3]` uint8, mapped from disk
    targets: torch.Tensor  # `[n, 256]` float32, unit rows
    alike: torch.Tensor  # numbers of the views that are much as a photo is

    @classmethod
    def open(cls, folder: Path) -> Bank:
        """Map the views and turn the answers into targets."""
        shards = range(len(list(folder.glob("photos-*.npy"))))
        views = [np.load(folder / f"views-{n:03}.npy", mmap_mode="r") for n in shards]

        def joined(name: str) -> NDArray[Any]:
            return np.concatenate([np.load(folder / f"{name}-{n:03}.npy") for n in shards])

        targets = make_targets(joined("answers"), joined("photos"))
        alike = np.flatnonzero(joined("kinds") >= 0)
        return cls(views, torch.from_numpy(targets), torch.from_numpy(alike))

    def pictures(self, numbers: torch.Tensor) -> torch.Tensor:
        """`[n, 3, 128, 128]` float32 of 0 to 255."""
        size = len(self.views[0])
        picked = np.stack([self.views[n // size][n % size] for n in numbers.tolist()])
        return torch.from_numpy(picked).permute(0, 3, 1, 2).float()

    def batch(self, rng: torch.Generator) -> torch.Tensor:
        """Numbers of a batch of views: `[BATCH]` int64.

        Half of them are much as photos are, beside those among the other half: photos are what the
        student will be asked about.
        """
        half = torch.randint(len(self.targets), (BATCH // 2,), generator=rng)
        chosen = torch.randint(len(self.alike), (BATCH - BATCH // 2,), generator=rng)
        return torch.cat([half, self.alike[chosen]])


class Course:
    """One training run, which can be left and taken up again.

    Args:
        bank: what to learn from.
        out: folder for the weights, the losses and the state.
        steps: how many batches in all.
        seed: decides the first weights and every batch.
    """

    def __init__(self, bank: Bank, out: Path, steps: int, seed: int) -> None:
        self.bank, self.out, self.steps, self.seed = bank, out, steps, seed
        self.student = make_student(seed)
        self.mean = deepcopy(self.student).eval()
        decayed = [p for p in self.student.parameters() if p.ndim > 1]
        others = [p for p in self.student.parameters() if p.ndim <= 1]
        self.optimiser = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]
        )
        self.step = 0

    def take_up(self) -> None:
        """Go on from the state that a stopped run left, if there is one."""
        path = self.out / "state.pt"
        if path.exists():
            state = torch.load(path, weights_only=True)
            self.student.load_state_dict(state["student"])
            self.mean.load_state_dict(state["mean"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step = state["step"]

    def leave(self) -> None:
        """Keep the state, and the mean weights."""
        state = {
            "student": self.student.state_dict(),
            "mean": self.mean.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
        }
        torch.save(state, self.out / "state.tmp")
        (self.out / "state.tmp").replace(self.out / "state.pt")
        write_weights(self.mean, self.out / "network.safetensors")

    def run(self) -> None:
        """Take every step that is left."""
        since, losses = time.monotonic(), []
        while self.step < self.steps:
            losses.append(self._one_step())
            self.step += 1
            if self.step % LOG_EVERY == 0 or self.step == self.steps:
                rate = len(losses) * BATCH / (time.monotonic() - since)
                means = "\t".join(f"{mean:.4f}" for mean in np.mean(losses, axis=0))
                line = f"{self.step}\t{means}\t{rate:.0f}"
                with (self.out / "losses.tsv").open("a") as log:
                    log.write(line + "\n")
                print(line, flush=True)
                self.leave()
                since, losses = time.monotonic(), []

    def _one_step(self) -> tuple[float, ...]:
        rate = self._rate()
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        losses = self._losses()
        self.optimiser.zero_grad()
        torch.autograd.backward(losses[0] + LIKENESS_WEIGHT * losses[1])
        torch.nn.utils.clip_grad_norm_(self.student.parameters(), 5.0)
        self.optimiser.step()
        follow(self.mean, self.student, min(0.999, (self.step + 1) / (self.step + 20)))
        return tuple(float(loss.detach()) for loss in losses)

    def _rate(self) -> float:
        """The learning rate: a straight rise, then half a cosine down to nothing."""
        if self.step < WARM_UP:
            return PEAK_RATE * (self.step + 1) / WARM_UP
        done = (self.step - WARM_UP) / max(1, self.steps - WARM_UP)
        return PEAK_RATE * 0.5 * (1 + math.cos(math.pi * done))

    def _losses(self) -> list[torch.Tensor]:
        # A step's chance depends on its number alone, so that a run taken up goes on as it was.
        rng = torch.Generator().manual_seed(self.seed * 1_000_003 + self.step)
        numbers = self.bank.batch(rng)
        pictures = self.bank.pictures(numbers)
        size = size_at(self.step / self.steps)
        if size < pictures.shape[-1]:
            pictures = functional.interpolate(pictures, size, mode="bilinear", antialias=True)
        vectors = functional.normalize(self.student(normalised(distorted(pictures, rng))))
        targets = self.bank.targets[numbers]
        return [1 - (vectors * targets).sum(dim=1).mean(), likeness_loss(vectors, targets)]


def size_at(progress: float) -> int:
    """Side of the pictures at a share of the steps: small ones first, which are quicker."""
    return next(size for until, size in SIZES if progress < until)


def likeness_loss(vectors: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """How far each view's nearest ones in the batch are other than the teacher's."""
    diagonal = torch.eye(len(vectors), dtype=torch.bool)
    own = (vectors @ vectors.T / TEMPERATURE).masked_fill(diagonal, -1e4)
    wanted = (targets @ targets.T / TEMPERATURE).masked_fill(diagonal, -1e4)
    return functional.kl_div(
        own.log_softmax(1), wanted.log_softmax(1), log_target=True, reduction="batchmean"
    )


def follow(mean: torch.nn.Module, student: torch.nn.Module, keep: float) -> None:
    """Move the running mean of every number towards the student's."""
    with torch.no_grad():
        for kept, fresh in zip(
            mean.state_dict().values(), student.state_dict().values(), strict=True
        ):
            if kept.is_floating_point():
                kept.lerp_(fresh, 1 - keep)


def write_weights(model: torch.nn.Module, path: Path) -> None:
    """Write the weights as float16 safetensors, without the counters that only training reads."""
    state = {
        name: tensor.half().contiguous()
        for name, tensor in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    save_file(state, path)


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bank", type=Path, help="what training.bank wrote")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=15000)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    bank = Bank.open(options.bank)
    course = Course(bank, options.out, options.steps, options.seed)
    course.take_up()
    course.run()


if __name__ == "__main__":
    main()
