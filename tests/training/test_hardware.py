"""What a run computes on, and the Trainers that use it."""

import logging

import pytest
import torch
from lightning.pytorch.accelerators import CUDAAccelerator
from lightning.pytorch.callbacks import Callback, Checkpoint

from nas_lightning.callbacks.progress import Progress
from nas_lightning.networks import native
from nas_lightning.training.hardware import Hardware


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(CUDAAccelerator, "is_available", staticmethod(lambda: False))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"accelerator": "gpu"}, r"hardware\.accelerator \(gpu\) needs a device .*hardware=cpu"),
        ({"accelerator": "cuda"}, r"hardware\.accelerator \(cuda\) needs a device"),
        ({"accelerator": "tpu"}, r"hardware\.accelerator \(tpu\) needs a device"),
        ({"accelerator": "abacus"}, r"'abacus'; choose from: cpu, cuda, gpu, mps, tpu"),
        ({"devices": 0}, r"hardware\.devices \(0\) must be at least 1, or auto for all GPUs"),
        ({"devices": "two"}, r"hardware\.devices \(two\) must be at least 1, or auto"),
        ({"threads": 0}, r"hardware\.threads \(0\) must be in \[1, 1024\]; use e.g. 2"),
        ({"threads": 10**6}, r"hardware\.threads \(1000000\) must be in \[1, 1024\]"),
        (
            {"executor": "rey"},
            r"unknown hardware\.executor 'rey'; choose from: serial, process",
        ),
        ({"workers": 0}, r"hardware\.workers \(0\) must be at least 1; use e\.g\. 2"),
        ({"in_flight": 0}, r"hardware\.in_flight \(0\) must be at least 1; use e\.g\. 2"),
        ({"workers": 2}, r"hardware\.workers \(2\) has no effect .*use hardware\.executor=proc"),
        ({"child_seconds": 5}, r"hardware\.child_seconds \(5\) has no effect with hardware\.exec"),
        ({"drain_seconds": 5}, r"hardware\.drain_seconds \(5\) has no effect with hardware\.exec"),
        (
            {"executor": "processes", "drain_seconds": -1},
            r"hardware\.drain_seconds \(-1\) must be at least 0; use e\.g\. 20",
        ),
        (
            {"executor": "processes", "child_seconds": 0},
            r"hardware\.child_seconds \(0\) must be above 0; use e\.g\. 3600",
        ),
        (
            {"executor": "processes", "workers": 5000},
            r"hardware\.workers \(5000\) must not exceed the \d+ cores found here, unless hardware",
        ),
        ({"kernels": "fast"}, "'fast'; choose from: auto, plain, torch, native"),
        (
            {"kernels": "native", "precision": "bf16-mixed"},
            r"hardware\.kernels \(native\) need .*got cpu and bf16-mixed; use hardware\.ker",
        ),
        (
            {"graphs": True},
            r"hardware\.graphs \(true\) needs a CUDA device, got cpu; use hardware=gpu",
        ),
        (
            {"order": "arrival"},
            r"hardware\.order \(arrival\) has no effect with hardware\.executor=s",
        ),
        (
            {"executor": "ray", "order": "random"},
            r"unknown hardware\.order 'random'; choose from: ",
        ),
        (
            {"executor": "ray", "order": "arrival"},
            r"hardware\.order \(arrival\) has no effect with one child in flight; raise hardware",
        ),
        (
            {"executor": "processes", "address": "auto"},
            r"hardware\.address \(auto\) has no effect with hardware\.executor=p.*=ray",
        ),
        (
            {"executor": "ray", "address": "ray://head:10001"},
            r"hardware\.address \(ray://head:10001\) must be auto or HOST:PORT of a Ray cluster",
        ),
        (
            {"executor": "ray", "workers": 5000},
            r"hardware\.workers \(5000\) must not exceed the \d+",
        ),
        (
            {"executor": "ray", "gpus_per_worker": 2},
            r"hardware\.gpus_per_worker \(2\) must be in \[0\.01, 1\]; use e\.g\. 0\.5",
        ),
        (
            {"executor": "ray", "gpus_per_worker": 0.5},
            r"hardware\.gpus_per_worker \(0\.5\) has no effect on the CPU; use hardware=gpu, or",
        ),
        ({"precision": "16-mixed"}, r"'16-mixed'; choose from: 32-true, 64-true, bf16-mixed, auto"),
    ],
)
def test_hardware_that_is_not_there_is_refused(values, message, no_gpu):
    with pytest.raises(ValueError, match=message):
        Hardware(**values)


def test_preparing_chooses_the_kernels_and_a_run_tells_them():
    for kernels in ("plain", "torch"):
        hardware = Hardware(kernels=kernels)
        hardware.prepare()
        assert hardware.threads_line.endswith(f"; kernels: {kernels}")
    Hardware(precision="bf16-mixed").prepare()
    assert native.chosen() == "torch"


def test_preparing_sets_the_threads_and_quietens_lightning():
    before = torch.get_num_threads()
    try:
        Hardware(threads=2).prepare()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert not logging.getLogger("lightning.pytorch").isEnabledFor(logging.INFO)


def test_a_trainer_leaves_no_files_and_shows_nothing_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trainer = Hardware().trainer(3, [Callback()])
    assert trainer.max_epochs == 3
    assert trainer.loggers == []
    assert trainer.checkpoint_callbacks == []
    assert trainer.progress_bar_callback is None
    assert list(tmp_path.iterdir()) == []


def test_a_trainer_has_the_checkpoint_and_the_bar_that_it_is_given():
    checkpoint, bar = Checkpoint(), Progress()
    trainer = Hardware(precision="64-true").trainer(1, [bar, checkpoint], limit_val_batches=0)
    assert trainer.checkpoint_callbacks == [checkpoint]
    assert trainer.progress_bar_callback is bar
    assert trainer.precision == "64-true"
    assert trainer.limit_val_batches == 0


@pytest.mark.parametrize(("has_bf16", "precision"), [(True, "bf16-mixed"), (False, "32-true")])
def test_the_best_precision_is_the_chips(monkeypatch, has_bf16, precision):
    monkeypatch.setattr(CUDAAccelerator, "is_available", staticmethod(lambda: True))
    monkeypatch.setattr(CUDAAccelerator, "auto_device_count", staticmethod(lambda: 4))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: has_bf16)
    hardware = Hardware("gpu", devices="auto", precision="auto")
    assert (hardware.actual_precision, hardware.num_processes) == (precision, 4)
    assert Hardware("cpu", precision="auto").actual_precision == "32-true"
    with pytest.raises(ValueError, match=r"devices \(5\) must not exceed the 4 that are found"):
        Hardware("gpu", devices=5)


def test_a_batch_must_be_a_multiple_of_the_processes():
    Hardware(devices=4).check_batch("data.batch_size", 64)
    message = r"data.batch_size \(66\) must be a multiple of .* \(4\).*; use e.g. 68"
    with pytest.raises(ValueError, match=message):
        Hardware(devices=4).check_batch("data.batch_size", 66)


def test_the_first_of_several_processes_alone_writes(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert Hardware().is_first
    assert not Hardware(devices=2).is_first


@pytest.mark.parametrize(("threads", "workers", "each"), [(8, 3, 2), (1, 4, 1), (4, 4, 1)])
def test_workers_share_the_threads(threads, workers, each):
    hardware = Hardware(executor="processes", threads=threads, workers=workers)
    assert (hardware.worker_threads, hardware.num_in_flight) == (each, workers)
