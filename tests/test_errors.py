"""What a user may get wrong: one readable message before any work, exit status 1."""

import os
import subprocess
import sys

import pytest
from command import TINY, run

BAD_TEXT = "genotype='Genotype(normal=[])'"

SEARCHES = {
    "unknown option": (["strategy=dart"], ["dart", "darts", "random"]),
    "unknown key": (["sede=1"], ["sede"]),
    "unknown key of a leaf": (["strategy.oder=first"], ["strategy.oder"]),
    "added key": (["+strategy.new=1"], ["strategy.new", "epochs, order"]),
    "wrong type": (["seed=abc"], ["seed", "abc", "Integer"]),
    "wrong type in a leaf": (["strategy.epochs=abc"], ["strategy.epochs", "abc", "Integer"]),
    "empty value": (["strategy.epochs="], ["strategy.epochs", "Integer"]),
    "zero epochs": (["strategy.epochs=0"], ["strategy.epochs (0)", "at least 1"]),
    "zero trials": (["strategy=random", "strategy.trials=0"], ["strategy.trials (0)"]),
    "unknown order": (["strategy.order=third"], ["'third'", "first, second"]),
    "bad learning rate": (["strategy.params_optimizer.lr=-1"], ["params_optimizer.lr (-1.0)"]),
    "unknown op": (["search_space.ops=[conv9]"], ["conv9", "sep_conv_3x3"]),
    "too few cells": (["search_space.scale.cells=2"], ["scale.cells (2)", "at least 3"]),
    "unknown stem": (["search_space.scale.stem=big"], ["'big'", "cifar, imagenet"]),
    "batch beyond the split": (["data.batch_size=5000"], ["5000", "719"]),
    "image too small": (["data.image_size=4"], ["4", "8"]),
    "image too small for the stem": (["search_space.scale.stem=imagenet"], ["8 pixels", "32"]),
    "auxiliary head on a small map": (["child.scale.auxiliary=true"], ["2 pixels", "8"]),
    "more classes than found": (["data.num_classes=12"], ["data.num_classes (12)", "10"]),
    "validation share": (["data.validation_share=1.5"], ["1.5"]),
    "missing folder": (["data=folder", "data.path=/nowhere"], ["/nowhere", "does not exist"]),
    "no folder": (["data=folder"], ["data.path"]),
    "evaluation of a one-shot strategy": (["evaluation=low_fidelity"], ["one-shot"]),
    "label smoothing": (["child.label_smoothing=1"], ["child.label_smoothing (1.0)"]),
    "samples": (["max_samples=0"], ["max_samples (0)"]),
    "outputs unlike the data's": (["child.scale.num_outputs=5"], ["num_outputs (5)", "10"]),
    "callbacks of a black-box search": (
        ["strategy=random", "callbacks.collapse.share=7"],
        ["callbacks.collapse.share (7.0)"],
    ),
    "no configuration kept": (["hydra.output_subdir=null"], ["hydra.output_subdir"]),
    "broken grammar": (["strategy.epochs=[1"], ["strategy.epochs=[1"]),
    "unknown target": (["strategy._target_=nowhere.Nothing"], ["nowhere.Nothing"]),
}


def message_of(capsys, command, *arguments):
    with pytest.raises(SystemExit) as stop:
        run(command, *arguments)
    assert stop.value.code in (1, 2)
    text = capsys.readouterr().err
    assert text.startswith("error: ")
    assert "Traceback" not in text
    assert len(text.splitlines()) <= 8
    return text


@pytest.mark.parametrize("case", SEARCHES)
def test_a_mistake_gets_one_message_that_names_it(case, tmp_path, capsys):
    overrides, parts = SEARCHES[case]
    text = message_of(capsys, "search", f"hydra.run.dir={tmp_path / 'run'}", *overrides)
    for part in parts:
        assert part in text
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "not valid JSON (truncated?)"),
        (b'{"format": "nas-lightning/genotype", "ver', "not valid JSON (truncated?)"),
        (b'{"format": "other"}', "format 'nas-lightning/genotype', got 'other'"),
        (b"[1, 2]", "holds a JSON object"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b" " * 2_000_000, "at most 1,000,000 bytes"),
        (
            b'{"format": "nas-lightning/genotype", "version": 9, "space": "darts", "choices": {}}',
            "version 9 is unknown",
        ),
        (
            b'{"format": "nas-lightning/genotype", "version": 1, "space": "x", "choices": {}}',
            "of space 'x', the search space is 'darts'",
        ),
        (
            b'{"format": "nas-lightning/genotype", "version": 1, "space": "darts",'
            b' "choices": {"normal/node_2/inputs": "__import__"}}',
            "unknown option '__import__'",
        ),
    ],
)
def test_a_bad_genotype_file_is_refused_by_name(content, part, tmp_path, capsys):
    file = tmp_path / "genotype.json"
    file.write_bytes(content)
    text = message_of(capsys, "train", f"hydra.run.dir={tmp_path / 'run'}", f"genotype={file}")
    assert part in text
    assert str(file) in text


def test_a_missing_genotype_lists_the_published_ones(tmp_path, capsys):
    text = message_of(capsys, "train", f"hydra.run.dir={tmp_path / 'r'}", "genotype=darts_v3")
    assert "'darts_v3' is neither a file nor a published genotype" in text
    assert "darts_v2" in text


def test_no_genotype_and_a_bad_text_are_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "genotype" in message_of(capsys, "train", "seed=1")
    assert "Genotype(...) takes" in message_of(capsys, "show", BAD_TEXT)


def test_a_folder_that_cannot_be_written_is_named(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    text = message_of(capsys, "search", f"hydra.run.dir={tmp_path / 'file' / 'run'}")
    assert str(tmp_path / "file") in text


def test_a_damaged_checkpoint_is_named(tmp_path, capsys):
    folder = tmp_path / "run"
    run("search", f"hydra.run.dir={folder}", *TINY, "retrain=false")
    (folder / "result.json").unlink()
    checkpoint = folder / "checkpoints" / "last.ckpt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    text = message_of(capsys, "search", f"resume={folder}")
    assert f"checkpoint {checkpoint} cannot be read (truncated?)" in text


def test_a_loss_that_is_no_number_stops_the_search(tmp_path, capsys):
    text = message_of(
        capsys,
        "search",
        f"hydra.run.dir={tmp_path}",
        *TINY,
        "strategy.params_optimizer.lr=1e30",
        "strategy.params_optimizer.clip=1e30",
    )
    assert "the training loss became" in text
    assert "strategy.params_optimizer.lr" in text


@pytest.mark.slow
def test_a_real_process_shows_a_traceback_only_when_asked(tmp_path):
    command = [sys.executable, "-m", "nas_lightning.search", "strategy.epochs=0"]
    for wanted in ("", "1"):
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=os.environ | {"HYDRA_FULL_ERROR": wanted},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 1
        assert ("Traceback" in done.stderr) == bool(wanted)
        assert "strategy.epochs (0) must be at least 1" in done.stderr
        assert done.stdout == ""
