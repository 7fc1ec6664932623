"""The hardware of a run, and the Trainers that use it.

Torch and Lightning are imported where they are used: the parent of several processes makes a
`Hardware` to count them, and needs neither.
"""

import logging
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas_lightning.core.checks import in_range, one_of
from nas_lightning.training.cores import usable_cores
from nas_lightning.training.worker_settings import SERIAL, check_workers

if TYPE_CHECKING:  # not in the parent
    import lightning as L

__all__ = ["Hardware"]

ALL, CUDA = "auto", ("gpu", "cuda")
MIXED = "bf16-mixed"
PRECISIONS = ("32-true", "64-true", MIXED, "auto")
NATIVE, KERNELS = "native", ("auto", "plain", "torch", "native")


@dataclass(frozen=True)
class Hardware:
    """What a run computes on: a command starts one process per device where there are several.

    Attributes:
        accelerator: "cpu", "gpu", or another name that Lightning knows.
        devices: their number, or "auto" for all GPUs; on the CPU a device is a process.
        precision: "32-true", "64-true", "bf16-mixed", or "auto": bf16-mixed on a GPU that computes
            with it, else 32-true. A search takes its gradients itself: no loss can be scaled.
        threads: CPU threads of a process, 1 to 1024; None shares the cores that may be used among
            the processes (`usable_cores`), and takes no more than torch would.
        sync_batchnorm: whether BatchNorm's statistics come from the batches of all processes.
        executor: where the children of a black-box search are evaluated: "serial" is this process,
            "processes" are workers of its own on this machine, "ray" those of a Ray cluster.
        workers: their number.
        in_flight: children that are asked before the first of them is told; None takes `workers`.
        child_seconds: most seconds of one child in a worker, after which it counts as dead; None
            sets no limit.
        drain_seconds: most seconds that children in workers may take to finish after a SIGTERM.
        order: in which results are told: "virtual" depends on no clock, and can be repeated;
            "arrival" is theirs.
        address: the Ray cluster, "auto" for that of this machine, or HOST:PORT; None starts one
            on this machine that ends with the search.
        gpus_per_worker: the share of a GPU, in [0.01, 1], that Ray reserves for a worker; None
            shares those of the cluster equally, and takes at most one each.
        kernels: of networks on a CPU: "plain", torch's operators one by one, "torch", arranged
            faster, "native", in C++ too, built on first use; "auto" is native with a compiler.
        graphs: whether a one-shot search replays its losses as CUDA graphs (`GraphedUpdates`).
        latency: from what the latency of children is predicted: "here" measures what is missing on
            this CPU and keeps it, else the file of a profile; None predicts none.

    Raises: ValueError: a value is out of range, or there is no such device here.
    """

    accelerator: str = "cpu"
    devices: int | str = 1
    precision: str = "32-true"
    threads: int | None = None
    sync_batchnorm: bool = False
    executor: str = "serial"
    workers: int = 1
    in_flight: int | None = None
    child_seconds: float | None = None
    drain_seconds: float = 20.0
    order: str = "virtual"
    address: str | None = None
    gpus_per_worker: float | None = None
    kernels: str = "auto"
    graphs: bool = False
    latency: str | None = None

    def __post_init__(self) -> None:
        in_range("hardware.threads", self.threads, "[1, 1024]", use=2)  # more may end the process
        one_of("hardware.precision", self.precision, PRECISIONS)
        self._check_kernels()
        self._check_graphs()
        check_workers(self)
        if self.accelerator != "cpu" and not _accelerator(self.accelerator).is_available():
            raise ValueError(
                f"hardware.accelerator ({self.accelerator}) needs a device that is not found here; "
                "use hardware=cpu"
            )
        if self.devices == ALL:
            return
        number = int(self.devices) if str(self.devices).isdecimal() else 0
        if number < 1:
            raise ValueError(
                f"hardware.devices ({self.devices}) must be at least 1, or auto for all GPUs"
            )
        if self.accelerator != "cpu" and number > (available := _num_devices(self.accelerator)):
            raise ValueError(
                f"hardware.devices ({number}) must not exceed the {available} that are found here; "
                "use hardware.devices=auto for all of them"
            )

    @property
    def num_in_flight(self) -> int:
        """The number of children that are asked before the first of them is told."""
        return self.workers if self.in_flight is None else self.in_flight

    @property
    def is_virtual(self) -> bool:
        """Whether results are told in an order that depends on no clock."""
        return self.order == "virtual"

    @property
    def worker_threads(self) -> int:
        """The CPU threads of a worker: its share of all, at least 1."""
        return max(1, (self.threads or usable_cores()) // self.workers)

    @property
    def num_processes(self) -> int:
        """The number of processes, one per device."""
        return _num_devices(self.accelerator) if self.devices == ALL else int(self.devices)

    def visible_devices(self) -> list[str]:
        """Returns the GPUs that workers take in turn, as CUDA_VISIBLE_DEVICES names them."""
        if self.accelerator not in CUDA:
            return []
        typed = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        return typed.split(",") if typed else [*map(str, range(_num_devices("cuda")))]

    @property
    def actual_precision(self) -> str:
        """The precision, "auto" resolved: asking for it takes memory of the GPU."""
        if self.precision != ALL:
            return self.precision
        import torch  # not in the parent

        is_cuda = self.accelerator in CUDA
        has_bf16 = is_cuda and torch.cuda.is_bf16_supported(including_emulation=False)
        return "bf16-mixed" if has_bf16 else "32-true"

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes files and prints."""
        return self.num_processes == 1 or os.environ.get("LOCAL_RANK", "0") == "0"

    def _check_kernels(self) -> None:
        one_of("hardware.kernels", self.kernels, KERNELS)
        if self.kernels == NATIVE and (self.accelerator != "cpu" or self.precision == MIXED):
            raise ValueError(
                "hardware.kernels (native) need a CPU and hardware.precision=32-true or 64-true, "
                f"got {self.accelerator} and {self.precision}; use hardware.kernels=auto"
            )

    def _check_graphs(self) -> None:
        if self.graphs and self.accelerator not in CUDA:
            raise ValueError(
                f"hardware.graphs (true) needs a CUDA device, got {self.accelerator}; use "
                "hardware=gpu, or leave it out"
            )
        if self.graphs and self.sync_batchnorm:
            raise ValueError(
                "hardware.graphs (true) cannot capture the exchange of hardware.sync_batchnorm "
                "(true); leave out one of them"
            )

    def check_serial(self, who: str) -> None:
        """Raises ValueError where workers or children in flight are set for what has none."""
        key = "executor" if self.executor != SERIAL else "in_flight"
        if self.executor != SERIAL or self.num_in_flight > 1:
            raise ValueError(
                f"hardware.{key} ({getattr(self, key)}) has no effect: {who}; leave it out, or "
                "search with a black-box strategy such as strategy=evolution"
            )

    def check_ungraphed(self, who: str) -> None:
        """Raises ValueError where CUDA graphs are set for what has no losses of a supernet."""
        if self.graphs:
            raise ValueError(
                f"hardware.graphs (true) has no effect: {who}; leave it out, or search with a "
                "one-shot strategy such as strategy=darts"
            )

    def prepare(self) -> None:
        """Sets the CPU threads and kernels of this process, and quietens Lightning.

        Raises: ValueError: native kernels are asked for and cannot be built here.
        """
        import lightning  # not in the parent
        import torch  # not in the parent

        for package in (lightning.pytorch, lightning.fabric):
            logging.getLogger(package.__name__).setLevel(logging.WARNING)
        warnings.filterwarnings("ignore", ".*LeafSpec.*", FutureWarning)
        warnings.filterwarnings("ignore", "Grad strides do not match", UserWarning)  # channels last
        # torch holds what a CUDA graph recorded as it warmed up, on a stream of its own
        warnings.filterwarnings("ignore", "The AccumulateGrad node's stream", UserWarning)
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        else:  # torch's own number heeds OMP_NUM_THREADS, and what was set in Python
            share = max(1, usable_cores() // self.num_processes)
            torch.set_num_threads(min(torch.get_num_threads(), share))
        is_other = self.accelerator != "cpu" or self.precision == MIXED
        _native().choose("torch" if is_other and self.kernels == ALL else self.kernels)

    @property
    def threads_line(self) -> str:
        """The CPU threads and kernels of this process, for the first lines of a run."""
        import torch  # not in the parent

        each = f" in each of {self.num_processes} processes" if self.num_processes > 1 else ""
        threads = f"CPU threads: {torch.get_num_threads()}{each}"
        return f"{threads}; usable cores: {usable_cores()}; kernels: {_native().chosen()}"

    def check_batch(self, key: str, size: int) -> None:
        """Raises ValueError where the images of all processes' batch do not divide among them."""
        number = self.num_processes
        if size % number:
            raise ValueError(
                f"{key} ({size}) must be a multiple of the number of processes ({number}), each "
                f"of which takes its part; use e.g. {number * -(-size // number)}"
            )

    def trainer(
        self,
        epochs: int,
        callbacks: Sequence["L.Callback"] = (),
        loggers: Sequence[Any] = (),
        plugins: Sequence[Any] = (),
        folder: Path | None = None,
        wraps: bool = True,
        **more: Any,
    ) -> "L.Trainer":
        """Returns a Trainer that leaves no files but those of its callbacks and loggers.

        A module that averages its gradients over processes itself needs none that `wraps` it;
        `folder` is for callbacks that are not told where to write, `more` goes to the Trainer.
        """
        import lightning as L  # not in the parent
        from lightning.pytorch.callbacks import Checkpoint, ProgressBar  # not in the parent

        from nas_lightning.training import ranks  # not in the parent

        return L.Trainer(
            accelerator=self.accelerator,
            devices=self.num_processes,
            strategy=ranks.strategy_of(wraps) if self.num_processes > 1 else "auto",
            precision=self.actual_precision,  # type: ignore[arg-type]
            max_epochs=epochs,
            callbacks=[*callbacks, ranks.OwnSignals()],
            logger=list(loggers) or False,
            plugins=[*plugins, *ranks.plugins_of(self.sync_batchnorm)],
            default_root_dir=folder,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            log_every_n_steps=1,  # loggers get epochs; a larger number warns of short ones
            enable_model_summary=False,
            enable_checkpointing=any(isinstance(c, Checkpoint) for c in callbacks),
            enable_progress_bar=any(isinstance(c, ProgressBar) for c in callbacks),
            **more,
        )


def _native() -> Any:
    from nas_lightning.networks import native  # not in the parent

    return native


def _accelerator(name: str) -> Any:
    from lightning.pytorch.accelerators import AcceleratorRegistry  # not in the parent

    names = sorted(["gpu", *AcceleratorRegistry.available_accelerators()])
    one_of("hardware.accelerator", name, names)
    return AcceleratorRegistry["cuda" if name == "gpu" else name]["accelerator"]


def _num_devices(name: str) -> int:
    return 1 if name == "cpu" else int(_accelerator(name).auto_device_count())
