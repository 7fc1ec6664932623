"""What only a CUDA device can show; `benchmarks/gpu.sh` runs it all."""

from unittest.mock import Mock

import pytest
import torch
from command import TINY, result, rows, run

from nas_lightning.training.supernet import SupernetModule

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def search(folder, *arguments):
    run("search", f"hydra.run.dir={folder}", *TINY, *arguments)
    return alphas(folder)


def alphas(folder):
    return torch.tensor([float(row["weight"]) for row in rows(folder / "alphas.csv")])


def test_a_gpu_searches_trains_and_tests_in_the_chips_best_precision(tmp_path):
    search(tmp_path, "hardware=gpu")
    best = "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    found = result(tmp_path)
    assert found["hardware"] == f"gpu {best}"
    assert 0 <= found["child"]["test_accuracy"] <= 1


@pytest.mark.parametrize("order", ["first", "second"])
def test_a_gpu_finds_the_alphas_of_the_cpu_in_double_precision(tmp_path, order):
    exact = (f"strategy.order={order}", "hardware.precision=64-true", "retrain=false")
    cpu = search(tmp_path / "cpu", *exact)
    gpu = search(tmp_path / "gpu", *exact, "hardware=gpu")
    torch.testing.assert_close(gpu, cpu, rtol=0, atol=1e-6)  # sums in another order


def test_a_search_on_a_gpu_resumes_where_it_was_stopped(tmp_path, monkeypatch):
    exact = ("hardware=gpu", "hardware.precision=64-true", "retrain=false")
    whole = search(tmp_path / "whole", *exact)
    step = SupernetModule.training_step

    def stop(module, batch, batch_idx):
        if module.current_epoch == 1:
            raise ValueError("stopped")
        return step(module, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(SupernetModule, "training_step", stop)
        with pytest.raises(SystemExit):
            search(tmp_path / "stopped", *exact)
    run("search", f"resume={tmp_path / 'stopped'}")
    torch.testing.assert_close(alphas(tmp_path / "stopped"), whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "graphs"),
    [
        ("strategy.order=first", 2),
        ("strategy.order=second", 2),
        ("strategy=lambda_darts", 4),
        ("strategy=oles", 1),
        ("strategy=gdas", 0),
    ],
)
def test_cuda_graphs_find_the_alphas_of_single_launches(tmp_path, settings, graphs, monkeypatch):
    exact = (settings, "hardware=gpu", "hardware.precision=64-true")
    more = ("retrain=false", "strategy.epochs=2", "data.batch_size=8", "data.max_images=400")
    eager = search(tmp_path / "eager", *exact, *more)
    capture = Mock(wraps=torch.cuda.make_graphed_callables)
    monkeypatch.setattr(torch.cuda, "make_graphed_callables", capture)
    graphed = search(tmp_path / "graphed", *exact, *more, "hardware.graphs=true")
    assert capture.call_count == graphs
    torch.testing.assert_close(graphed, eager, rtol=0, atol=1e-6)


def test_cuda_graphs_search_in_bf16(tmp_path):
    more = ("retrain=false", "data.batch_size=8", "data.max_images=400", "hardware.graphs=true")
    assert search(tmp_path, "hardware=gpu", *more).isfinite().all()


@pytest.mark.ddp
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_all_gpus_of_a_node_find_the_alphas_of_one(tmp_path):
    exact = ("hardware.precision=64-true", "retrain=false", "hardware.sync_batchnorm=true")
    one = search(tmp_path / "one", *exact, "hardware=gpu")
    two = search(tmp_path / "two", *exact, "hardware=ddp", "hardware.devices=2")
    torch.testing.assert_close(two, one, rtol=0, atol=1e-6)
