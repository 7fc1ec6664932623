"""The CPU cores that a process may use."""

import os

import pytest
import torch

from nas_lightning.training import cores, hardware
from nas_lightning.training.cores import quota_of, usable_cores
from nas_lightning.training.hardware import Hardware


@pytest.fixture
def four_cores(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)), raising=False)
    monkeypatch.setattr(cores, "MEMBERSHIP", tmp_path / "none")


@pytest.mark.parametrize(("slurm", "number"), [({}, 4), ({"SLURM_CPUS_PER_TASK": "3"}, 3)])
def test_the_fewest_of_affinity_and_slurm_counts(four_cores, slurm, number):
    assert usable_cores(slurm) == number


def test_a_quota_is_rounded_down_but_not_to_nothing(four_cores, monkeypatch):
    for quota, number in ((2.5, 2), (0.5, 1)):
        monkeypatch.setattr(cores, "quota_of", lambda *_, quota=quota: quota)
        assert usable_cores({}) == number


def written(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_the_quota_of_a_group_above_bounds_version_2(tmp_path):
    written(tmp_path / "a" / "cpu.max", "150000 100000\n")
    written(tmp_path / "a" / "b" / "cpu.max", "max 100000\n")
    groups = written(tmp_path / "groups", "0::/a/b\n")
    assert quota_of(tmp_path, groups) == 1.5


def test_the_quota_of_version_1_is_that_of_the_cpu_controller(tmp_path):
    written(tmp_path / "cpu,cpuacct" / "cpu.cfs_quota_us", "200000\n")
    written(tmp_path / "cpu,cpuacct" / "cpu.cfs_period_us", "100000\n")
    groups = written(tmp_path / "groups", "5:memory:/x\n4:cpu,cpuacct:/docker/x\n")
    assert quota_of(tmp_path, groups) == 2


@pytest.mark.parametrize("text", ["0::/\n", "3:cpu:/\n"])
def test_no_quota_is_none(tmp_path, text):
    written(tmp_path / "cpu" / "cpu.cfs_quota_us", "-1\n")
    written(tmp_path / "cpu" / "cpu.cfs_period_us", "100000\n")
    assert quota_of(tmp_path, written(tmp_path / "groups", text)) is None


def test_processes_share_the_cores_and_take_no_more_than_torch_would(monkeypatch):
    before = torch.get_num_threads()
    monkeypatch.setattr(hardware, "usable_cores", lambda: 6)
    try:
        torch.set_num_threads(4)
        Hardware(devices=2, kernels="torch").prepare()
        assert torch.get_num_threads() == 3
        Hardware(kernels="torch").prepare()
        assert torch.get_num_threads() == 3
        line = "CPU threads: 3 in each of 2 processes; usable cores: 6; kernels: torch"
        assert Hardware(devices=2).threads_line == line
    finally:
        torch.set_num_threads(before)
