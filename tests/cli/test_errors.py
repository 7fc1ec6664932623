"""What a user may get wrong: one readable message before any training, exit status 1."""

import os
import subprocess
import sys
from pathlib import Path

import lightning
import pytest
from command import run
from lightning.pytorch.accelerators import CUDAAccelerator
from PIL import Image
from representatives import some_slow

SEARCHES = {
    "unknown option": (["strategy=dart"], "unknown option 'dart' of strategy; choose from: "),
    "unknown key": (["sede=1"], "unknown key 'sede'; choose from: callbacks, checkpoints, child"),
    "unknown key of a leaf": (["strategy.oder=1"], "unknown key 'strategy.oder'; choose from: al"),
    "wrong type": (["seed=abc"], "seed=abc: Value 'abc' of type 'str' could not be converted to I"),
    "wrong type in a leaf": (
        ["strategy.epochs=abc"],
        "strategy.epochs ('abc') has the wrong type: Value 'abc' of type 'str' could not be",
    ),
    "empty value": (["strategy.epochs="], "strategy.epochs ('') has the wrong type"),
    "text for a list": (["search_space.ops=none"], "search_space.ops ('none') must be a list"),
    "unknown target": (["strategy._target_=no.No"], "strategy._target_ 'no.No' cannot be imported"),
    "strategy of neither kind": (
        ["strategy=random", "strategy._target_=plug_ins.Neither"],
        "strategy._target_ (Neither) must be a OneShotStrategy or a BlackBoxStrategy",
    ),
    "seed beyond 64 bits": (["seed=9223372036854775808"], "must be a number of 64 bits; use e.g"),
    "zero trials": (["strategy=random", "strategy.trials=0"], "strategy.trials (0) must be at lea"),
    "unknown order": (["strategy.order=third"], "'third'; choose from: first, second"),
    "bad learning rate": (["strategy.params_optimizer.lr=-1"], "strategy.params_optimizer.lr (-1."),
    "misspelt op": (
        ["search_space.ops=[sep_conv3x3]"],
        "nor_conv_3x3, noise; did you mean 'sep_conv_3x3'?",
    ),
    "a limit that there is not": (
        ["limits.flops=3"],
        "key 'limits.flops'; choose from: latency_ms, memory_mb, multiply_adds, parameters",
    ),
    "a key of a black-box strategy": (
        ["strategy=random", "strategy.foo=1"],
        "unknown key 'strategy.foo'; choose from: trials; strategy=random has no such key",
    ),
    "misspelt key of a leaf": (
        ["+strategy.epcohs=1"],
        "alpha_optimizer; did you mean 'epochs'?",
    ),
    "unknown op": (
        ["search_space.ops=[conv9]"],
        "unknown search_space.ops 'conv9'; choose from: none, max_",
    ),
    "batch beyond the split": (
        ["data.batch_size=5000"],
        "data.batch_size (5000) must not exceed the 719",
    ),
    "batch beyond the child's": (
        ["child.batch_size=1500"],
        "child.batch_size (1500) must not exceed the 1438",
    ),
    "image too small": (["data.image_size=4"], "data.image_size (4) must be one side or [heig"),
    "image too small for the stem": (
        ["search_space.scale.stem=imagenet"],
        "images of 8 pixels are too small for the reductions; with scale.stem=imagenet they need",
    ),
    "auxiliary head on small maps": (
        ["child.scale.auxiliary=true"],
        "has 2 pixels per side, and the auxiliary head needs 8: set scale.auxiliary=false",
    ),
    "more classes than found": (
        ["data.num_classes=12"],
        "data.num_classes (12) must be the number of classes found, 10: 0, 1, 2",
    ),
    "outputs unlike the data's": (
        ["child.scale.num_outputs=5"],
        "child.scale.num_outputs (5) must be the data's, 10; leave it null",
    ),
    "validation share": (["data.validation_share=1.5"], "data.validation_share (1.5) must be in"),
    "fewer samples than a trial's": (
        ["strategy=random", "max_samples=100"],
        "max_samples (100) must allow at least one trial, which processes 8448 training samples",
    ),
    "no gpu here": (["hardware=gpu"], "hardware.accelerator (gpu) needs a device that is not fo"),
    "unknown precision": (["hardware.precision=16"], "'16'; choose from: 32-true, 64-true, bf16-"),
    "space without supernet": (
        ["search_space._target_=plug_ins.Separate"],
        "search space 'darts' has no supernet, which a one-shot strategy needs; choose a black-",
    ),
    "space without choices": (
        ["search_space._target_=plug_ins.Unmixed"],
        "search space 'darts' has no choices that a supernet could mix; choose a black-box",
    ),
    "evaluation beside the only objective of a one-shot strategy": (
        ["objective=accuracy", "evaluation=full"],
        "evaluation=full has no effect: strategy Darts is one-shot",
    ),
    "objective of a one-shot strategy": (
        ["objective=mdl"],
        "objective=mdl has no effect: strategy Darts is one-shot",
    ),
    "logger": (["+logger.x._target_=no.No"], "logger.x._target_ 'no.No' cannot be imported"),
    "no configuration kept": (["hydra.output_subdir=null"], "leave out hydra.output_subdir"),
}


@pytest.fixture(autouse=True)
def before_training(monkeypatch):
    """Lets no training begin, and finds no GPU."""

    def fit(*_, **__):
        raise AssertionError("the training began")

    monkeypatch.setattr(lightning.Trainer, "fit", fit)
    monkeypatch.setattr(CUDAAccelerator, "is_available", staticmethod(lambda: False))


@pytest.fixture
def error_of(capsys, tmp_path, monkeypatch):
    """Runs a command in an empty folder; gives the one message that it ends with."""

    def error_of(command, *arguments):
        with pytest.raises(SystemExit) as stop:
            run(command, *arguments)
        assert stop.value.code == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        (line,) = captured.err.splitlines()
        assert line.startswith("error: ")
        return line.removeprefix("error: ")

    monkeypatch.chdir(tmp_path)
    return error_of


SMALL = ("search_space.nodes=1", "search_space.scale.cells=3", "child.scale.cells=3")


LIKE_OTHERS = (
    "misspelt key of a leaf",
    "unknown op",
    "zero trials",
    "bad learning rate",
    "image too small",
    "wrong type",
    "seed beyond 64 bits",
    "objective of a one-shot strategy",
)


@pytest.mark.parametrize("case", some_slow(SEARCHES, *LIKE_OTHERS))
def test_a_mistake_gets_one_message_that_names_it(case, error_of):
    overrides, message = SEARCHES[case]
    assert message in error_of("search", *SMALL, *overrides)


def pictures(folder, classes=("a", "b"), number=10, size=(9, 9)):
    for label, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for index in range(number):
            Image.new("L", size, 20 * label + index).save(folder / name / f"{index}.png")


def make_empty(root):
    (root / "images").mkdir()


def make_flat(root):
    make_empty(root)
    Image.new("L", (9, 9)).save(root / "images" / "one.png")


def make_corrupt(root):
    pictures(root / "images", number=80)
    (root / "images" / "b" / "3.png").write_bytes(b"\x89PNG of nothing")


def make_truncated(root):
    pictures(root / "images", number=80, size=(200, 200))
    path = root / "images" / "a" / "7.png"
    path.write_bytes(path.read_bytes()[:100])


def make_unknown_test_class(root):
    pictures(root / "images" / "train")
    pictures(root / "images" / "test", ("a", "c"))


FOLDERS = {
    "missing": (
        lambda root: None,
        "a file (.npz, .parquet, .csv, .jsonl), but 'images' does not exist; give",
    ),
    "a file": (
        lambda root: (root / "images").touch(),
        "but 'images' is another file; give a",
    ),
    "empty": (
        make_empty,
        "must hold one sub-folder per class, but 'images' is empty; move the images of each class",
    ),
    "without classes": (make_flat, "but 'images' holds only files; move the images of each class"),
    "of one class": (
        lambda root: pictures(root / "images", ("a",)),
        "a data set needs at least 2 classes, got 1 (a)",
    ),
    "with a corrupt image": (make_corrupt, "cannot read the image 'images/b/3.png'"),
    "with a truncated image": (make_truncated, "cannot read the image 'images/a/7.png'"),
    "with a test class unknown": (
        make_unknown_test_class,
        "label 'c' is none of the training labels: a",
    ),
    "smaller than a batch": (
        lambda root: pictures(root / "images"),
        "data.batch_size (64) must not exceed the 8 samples to train on; use data.batch_size=8 or",
    ),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_a_folder_that_does_not_do_is_named(case, error_of):
    prepare, message = FOLDERS[case]
    prepare(Path.cwd())
    assert message in error_of("search", "data=folder", "data.path=images", *SMALL)


def test_a_data_set_that_needs_a_folder_says_how_to_name_it(error_of):
    assert "data=folder needs a folder, got data.path=null; add" in error_of(
        "search", "data=folder"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["seed=1"], "genotype is missing; give genotype=..."),
        (["genotype=darts_v3"], "genotype 'darts_v3' is neither a file nor a published genotype"),
        (
            ["genotype=darts_v3"],
            "pc_darts_imagenet, setn; did you mean 'darts_v2'?",
        ),
        (["genotype=nowhere/genotype.json"], "genotype 'nowhere/genotype.json' is neither a file"),
        (["genotype=."], "genotype.json: there is no such file; name a genotype's, or the folder"),
        (["genotype='Genotype(normal=[])'"], "Genotype(...) takes normal, normal_concat, reduce, "),
        (["genotype='|none~0|'"], "not a genotype in DARTS's notation: '|none~0|'"),
        (["genotype=darts_v2", "search_space.nodes=3"], "unknown decision 'normal/edge_0_5'; the "),
        (["genotype=darts_v2", "child.lr=0"], "child.lr (0.0) must be in (0, inf)"),
        (["genotype=darts_v2", "strategy=darts"], "unknown group 'strategy'; --help lists"),
    ],
)
def test_a_child_that_cannot_be_trained_is_refused(arguments, message, error_of):
    assert message in error_of("train", *arguments)


HEAD = b'{"format": "nas-lightning/genotype", "version": 1, "space": '


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty; name the genotype.json of a run"),
        (HEAD, "not valid JSON (truncated?)"),
        (
            b'{"format": "other"}',
            "a genotype file has format 'nas-lightning/genotype', got 'other'",
        ),
        (b"[1, 2]", "a genotype file holds a JSON object, got [1, 2]"),
        (b"\xff\xfe\x00", "a genotype file is UTF-8 text, got other bytes"),
        (b"[" * 100_000, "nested too deeply"),
        (b" " * 2_000_000, "at most 1,000,000 bytes, got 2,000,000"),
        (HEAD.replace(b"1,", b"9,") + b'"darts", "choices": {}}', "genotype version 9 is unknown"),
        (
            HEAD + b'"x", "choices": {}}',
            "of space 'x', the search space is 'darts'; choose search_",
        ),
        (
            HEAD + b'"darts", "choices": {"normal/node_2/inputs": "__import__"}}',
            "unknown option '__import__'",
        ),
    ],
)
def test_a_bad_genotype_file_is_refused_by_name(content, message, error_of):
    Path("genotype.json").write_bytes(content)
    error = error_of("show", "genotype=genotype.json")
    assert error.startswith("genotype.json: ")
    assert message in error


def test_a_run_below_a_file_is_refused(error_of):
    Path("file").touch()
    error = error_of("search", "hydra.run.dir=file/run")
    assert error == (
        "the run's folder must be writable: Not a directory: file/run; choose another one: "
        "hydra.run.dir=FOLDER"
    )


def test_a_run_in_a_folder_that_may_not_be_written_is_refused(error_of, tmp_path, protect):
    protect(tmp_path)
    error = error_of("search")
    assert error.startswith("the run's folder must be writable: Permission denied: outputs; ")


def test_a_drawing_in_a_folder_that_may_not_be_written_is_refused(error_of, tmp_path, protect):
    protect(tmp_path)
    error = error_of("show", "genotype=darts_v2", "channels=2", "cells=3")
    assert error.startswith("output (genotype.svg) cannot be written: Permission denied; ")


VERSION = ".hydra/nas_lightning.txt"


@pytest.mark.slow
def test_a_damaged_checkpoint_is_named(finished, error_of, tmp_path):
    checkpoint = tmp_path / "run" / "checkpoints" / "last.ckpt"
    for part in (".hydra/config.yaml", ".hydra/hydra.yaml", ".hydra/overrides.yaml", VERSION):
        (tmp_path / "run" / part).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "run" / part).write_bytes((finished / part).read_bytes())
    checkpoint.parent.mkdir()
    checkpoint.write_bytes((finished / "checkpoints/last.ckpt").read_bytes()[:1000])
    error = error_of("search", "resume=run")
    assert error.startswith(f"checkpoint {checkpoint} cannot be read (truncated?): ")
    assert error.endswith("; remove it to begin this part anew")


@pytest.mark.parametrize(("wanted", "shown"), [("", False), ("1", True)])
def test_a_process_shows_a_traceback_only_when_asked(wanted, shown, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "nas_lightning", "search", "sede=1"],
        cwd=tmp_path,
        env=os.environ | {"HYDRA_FULL_ERROR": wanted},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: unknown key 'sede'; choose from: ")
    assert ("Traceback (most recent call last)" in done.stderr) == shown
    assert done.stdout == ""
