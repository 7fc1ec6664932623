"""Training is saved after every epoch, whole or not at all, however a run is stopped."""

import errno
import logging
from pathlib import Path

import pytest
import torch

from nas_lightning.callbacks.checkpoint import AtomicCheckpointIO, RunCheckpoint
from nas_lightning.callbacks.checkpoint_file import best_or_last, resumable
from nas_lightning.files import NoRoomError
from nas_lightning.networks import native


@pytest.fixture
def saving(trainer):
    """A Trainer that notes what it saves."""
    trainer.saved = []
    trainer.save_checkpoint = lambda path: trainer.saved.append(path.name)
    return trainer


def test_the_last_epoch_is_saved_after_every_one(saving, module):
    keeper = RunCheckpoint(Path("x"))
    keeper.on_train_epoch_end(saving, module)
    keeper.on_train_epoch_end(saving, module)
    assert saving.saved == ["last.ckpt"] * 2


def test_the_best_epoch_is_saved_too_the_first_of_equal_ones(saving, module):
    keeper = RunCheckpoint(Path("x"), "m")
    for value in (0.5, 0.4, 0.5, 0.6):
        saving.callback_metrics = {"m": torch.tensor(value)}
        keeper.on_train_epoch_end(saving, module)
    assert saving.saved == ["best.ckpt", "last.ckpt", *["last.ckpt"] * 2, "best.ckpt", "last.ckpt"]
    assert keeper.best == pytest.approx(0.6)


def test_a_resumed_keeper_remembers_the_best(saving, module):
    keeper = RunCheckpoint(Path("x"), "m")
    keeper.load_state_dict({"best": 0.7, "threads": torch.get_num_threads()})
    saving.callback_metrics = {"m": 0.6}
    keeper.on_train_epoch_end(saving, module)
    assert saving.saved == ["last.ckpt"]


def test_another_number_of_threads_is_told_because_bits_depend_on_it(caplog):
    threads = torch.get_num_threads()
    with caplog.at_level(logging.WARNING):
        RunCheckpoint(Path("x")).load_state_dict({"best": 0.0, "threads": threads + 7})
    assert f"resumed on {threads} CPU threads instead of {threads + 7}" in caplog.text


def test_other_kernels_are_told_because_bits_depend_on_them(caplog):
    state = RunCheckpoint(Path("x")).state_dict()
    native.choose("plain")
    with caplog.at_level(logging.WARNING):
        RunCheckpoint(Path("x")).load_state_dict(state | {"kernels": "torch"})
    assert "resumed with hardware.kernels=plain instead of torch" in caplog.text


class Kill(BaseException):
    """Stands for an interruption while a file is written."""


@pytest.fixture
def killed_after_half(monkeypatch):
    """Lets torch.save die after it wrote something."""

    def save(content, path):
        path.write_bytes(b"half")
        raise Kill

    monkeypatch.setattr("nas_lightning.callbacks.checkpoint.torch.save", save)


def test_a_checkpoint_comes_back_with_plain_data_only(tmp_path):
    content = {"state_dict": {"w": torch.arange(3)}, "rows": [1.5, None, "x"]}
    AtomicCheckpointIO().save_checkpoint(content, tmp_path / "last.ckpt")
    found = best_or_last(tmp_path)
    assert found["rows"] == [1.5, None, "x"]
    assert torch.equal(found["state_dict"]["w"], torch.arange(3))


def test_an_interrupted_save_leaves_the_old_checkpoint_and_nothing_else(
    tmp_path, killed_after_half
):
    path = tmp_path / "last.ckpt"
    path.write_bytes(b"old")
    with pytest.raises(Kill):
        AtomicCheckpointIO().save_checkpoint({}, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("unexpected pos 768"),
        RuntimeError("basic_ios::clear: iostream error"),
    ],
)
def test_a_full_disk_is_named_and_leaves_the_old_checkpoint(tmp_path, monkeypatch, error):
    def save(content, path):
        path.write_bytes(b"half")
        raise error

    monkeypatch.setattr("nas_lightning.callbacks.checkpoint.torch.save", save)
    path = tmp_path / "last.ckpt"
    path.write_bytes(b"old")
    reasons = "No space|unexpected pos|basic_ios"
    message = rf"{path} cannot be written \(({reasons}).* MiB are free there\); make"
    with pytest.raises(NoRoomError, match=message):
        AtomicCheckpointIO().save_checkpoint({}, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_kill_left_of_a_save_is_overwritten_by_the_next(tmp_path):
    (tmp_path / ".last.ckpt.tmp").write_bytes(b"half of a checkpoint")
    AtomicCheckpointIO().save_checkpoint({"epoch": 3}, tmp_path / "last.ckpt")
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]
    assert best_or_last(tmp_path) == {"epoch": 3}


def test_the_best_checkpoint_goes_before_the_last(tmp_path):
    AtomicCheckpointIO().save_checkpoint({"epoch": 3}, tmp_path / "last.ckpt")
    AtomicCheckpointIO().save_checkpoint({"epoch": 1}, tmp_path / "best.ckpt")
    assert best_or_last(tmp_path) == {"epoch": 1}


def test_a_folder_without_a_checkpoint_starts_from_the_beginning(tmp_path):
    (tmp_path / ".last.ckpt.tmp").write_bytes(b"half")
    assert resumable(tmp_path) is None


def test_a_checkpoint_that_cannot_be_read_is_named_with_its_cure(tmp_path):
    AtomicCheckpointIO().save_checkpoint({"w": torch.ones(99)}, tmp_path / "last.ckpt")
    path = tmp_path / "last.ckpt"
    path.write_bytes(path.read_bytes()[:200])
    message = rf"checkpoint {path} cannot be read \(truncated\?\): .*; remove it to begin this part"
    with pytest.raises(ValueError, match=message):
        resumable(tmp_path)


def test_a_hostile_checkpoint_is_not_run(tmp_path):
    class Hostile:
        def __reduce__(self):
            return (print, ("run",))

    torch.save({"state_dict": Hostile()}, tmp_path / "last.ckpt")
    with pytest.raises(ValueError, match=r"last\.ckpt cannot be read"):
        best_or_last(tmp_path)
