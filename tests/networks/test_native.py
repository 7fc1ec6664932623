"""The native kernels' build and choice."""

import subprocess
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from native_kernels import computing_with, needs_kernels

from nas_lightning.networks import native
from nas_lightning.networks.kernels import DepthwiseConv


@pytest.fixture
def unbuilt(tmp_path, monkeypatch):
    """An empty cache and a process that has loaded nothing; returns the lines that are told."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(native, "_PROCESS", native._Process())
    return []


def test_native_kernels_without_a_compiler_are_refused(unbuilt, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(ValueError, match=r"hardware\.kernels \(native\) cannot be built: no C\+\+"):
        native.choose("native", unbuilt.append)


def test_without_a_compiler_auto_computes_in_torch_and_says_how_to_get_one(unbuilt, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    native.choose("auto", unbuilt.append)
    assert native.chosen() == "torch"
    assert len(unbuilt) == 1
    assert "no C++ compiler is found; install g++" in unbuilt[0]


def test_without_a_home_folder_auto_computes_in_torch(unbuilt, monkeypatch):
    """As in containers, whose user has no entry among the system's users."""
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "expanduser", Mock(side_effect=RuntimeError("no home directory")))
    native.choose("auto", unbuilt.append)
    assert native.chosen() == "torch"
    assert "this user has no home folder; set XDG_CACHE_HOME" in unbuilt[0]


def test_a_compiler_that_fails_is_told_by_its_first_error(unbuilt, monkeypatch, tmp_path):
    program = tmp_path / "broken"
    program.write_text("#!/bin/sh\necho 'x.cpp:1: error: no sense' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("CXX", str(program))
    native.choose("auto", unbuilt.append)
    assert native.chosen() == "torch"
    assert "building the native kernels for this CPU, once" in unbuilt[0]
    assert "failed (x.cpp:1: error: no sense)" in unbuilt[1]
    assert [file.suffix for file in native.library_file().parent.iterdir()] in ([], [".lock"])


def test_unknown_kernels_are_refused():
    with pytest.raises(ValueError, match="unknown kernels 'fast'; choose from: auto, plain, torch"):
        native.choose("fast")


@pytest.mark.slow
@needs_kernels()
def test_kernels_are_built_once_and_told_once(unbuilt, monkeypatch):
    native.choose("auto", unbuilt.append)
    assert native.chosen() == "native"
    monkeypatch.setattr(subprocess, "run", None)
    monkeypatch.setattr(native, "_PROCESS", native._Process())
    native.choose("native", unbuilt.append)
    assert len(unbuilt) == 1


@needs_kernels()
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_gradients_of_depthwise_kernels_are_torchs(kernel, stride, dilation):
    torch.manual_seed(0)
    conv = DepthwiseConv(21, kernel, stride, dilation).double()
    x = torch.randn(2, 21, 9, 8, dtype=torch.float64, requires_grad=True)
    found = []
    for kernels in ("native", "plain"):
        with computing_with(kernels):
            found.append(torch.autograd.grad((conv(x) ** 2).sum(), [x, conv.weight]))
            first = torch.autograd.grad((conv(x) ** 2).sum(), conv.weight, create_graph=True)
            found[-1] += torch.autograd.grad(first[0].square().sum(), [x, conv.weight])
    torch.testing.assert_close(*found, rtol=1e-11, atol=1e-11)  # the same sums in float64
