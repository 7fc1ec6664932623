"""The progress of a training, on a terminal and elsewhere."""

import io
import re

import pytest
from rich.console import Console
from torch import nn

from nas_lightning.callbacks.progress import Progress, is_drawable, preferred
from nas_lightning.core.scale import Scale
from nas_lightning.search_spaces.custom import CustomSpace, example
from nas_lightning.search_spaces.mobile import MobileSpace
from nas_lightning.strategies.darts import Darts
from nas_lightning.strategies.random_sharing import RandomSharing

PREFERRED = "sep_conv_3x3 4x"


@pytest.fixture
def likes_convolutions(module):
    """A search module that prefers separable convolutions everywhere."""
    module.strategy.alpha.data[:, module.space.ops.index("sep_conv_3x3")] = 9.0
    return module


@pytest.fixture
def terminal():
    """A terminal of 60 columns; what it shows is in its file."""
    return Console(file=io.StringIO(), force_terminal=True, width=60, _environ={"TERM": "xterm"})


@pytest.fixture
def shown(terminal, trainer):
    """Shows an epoch of a module's training on the terminal; gives the last picture's lines."""

    def shown(module, name="", first_batch=0):
        trainer.fit_loop.total_batch_idx = first_batch - 1
        progress = Progress(name)
        progress._console = terminal
        progress.on_train_start(trainer, module)
        for _ in range(trainer.num_training_batches):
            progress.on_train_batch_end(trainer, module, None)
        progress.on_train_epoch_end(trainer, module)
        progress.bar.refresh()
        text = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", terminal.file.getvalue())
        progress.on_train_end(trainer, module)
        return [line.rstrip() for line in re.split(r"[\r\n]+", text)][-3:]

    return shown


def test_the_bar_shows_epoch_and_time_left_and_below_it_figures_and_preference(
    shown, likes_convolutions
):
    bar, figures, preference = shown(likes_convolutions)
    assert re.fullmatch(r"search epoch 1/3 \S+ (\d:\d\d:\d\d|-:--:--)", bar)
    assert figures == "  validation accuracy 12.50 %  train loss 2.500"
    assert preference == f"  prefers {PREFERRED}"


def test_what_is_too_long_is_cut_off_below_the_bar(shown, likes_convolutions):
    bar, _, _ = shown(likes_convolutions, name="a name of its own for this one")
    assert bar.startswith("a name of its own for this one epoch 1/3 ")


def test_a_resumed_bar_goes_on_where_it_was(terminal, trainer, module):
    trainer.fit_loop.total_batch_idx, trainer.current_epoch = 7, 2
    progress = Progress()
    progress._console = terminal
    progress.on_train_start(trainer, module)
    (task,) = progress.bar.tasks
    progress.on_exception(trainer, module, KeyboardInterrupt())
    assert (task.completed, task.total) == (8, 12)
    assert progress.bar is None


def test_a_line_an_epoch_where_there_is_no_terminal(trainer, likes_convolutions, capsys):
    progress = Progress()
    progress.on_train_start(trainer, likes_convolutions)
    progress.on_train_batch_end(trainer, likes_convolutions, None)
    progress.on_train_epoch_end(trainer, likes_convolutions)
    progress.on_train_end(trainer, likes_convolutions)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        f"search epoch 1/3  validation accuracy 12.50 %  train loss 2.500  prefers {PREFERRED}\n"
    )


def test_the_training_of_a_child_has_no_preference(trainer, capsys):
    trainer.callback_metrics = {"child/train_loss": 1.0}
    progress = Progress()
    progress.on_train_start(trainer, nn.Linear(1, 1))
    progress.on_train_epoch_end(trainer, nn.Linear(1, 1))
    assert capsys.readouterr().err == "child epoch 1/3  train loss 1.000\n"


def test_a_disabled_bar_shows_nothing_until_it_is_enabled(trainer, module, capsys):
    progress = Progress("search")
    progress.disable()
    progress.on_train_epoch_end(trainer, module)
    assert capsys.readouterr().err == ""
    progress.enable()
    progress.on_train_epoch_end(trainer, module)
    assert capsys.readouterr().err.startswith("search epoch 1/3")


def test_a_terminal_that_cannot_move_its_cursor_gets_lines():
    assert not is_drawable(Console(force_terminal=True, _environ={"TERM": "dumb"}))


def test_the_most_used_options_are_preferred(likes_convolutions):
    assert preferred(likes_convolutions) == PREFERRED


def test_choices_of_different_options_are_preferred_by_name(module):
    module.space = CustomSpace(example, scale=Scale(input_shape=(3, 8, 8), num_outputs=10))
    module.strategy = Darts(module.space, seed=0)
    module.strategy.alpha.data[:, 0] = 9.0
    assert preferred(module) == "first=small, activation=relu"


def test_lines_wrap_at_the_terminal_s_width(trainer, likes_convolutions, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    progress = Progress("search")
    progress.on_train_epoch_end(trainer, likes_convolutions)
    assert capsys.readouterr().err.splitlines() == [
        "search epoch 1/3  validation accuracy 12.50 %  train loss",
        f"                  2.500  prefers {PREFERRED}",
    ]


def test_uniform_paths_prefer_nothing(module):
    module.strategy = RandomSharing(module.space, seed=0)
    assert preferred(module) == "nothing"


def test_sizes_are_preferred_where_a_space_has_no_operations(module):
    space, wanted = MobileSpace(), {"skip": "no", "kernel": "5", "expansion": "3"}
    module.space, module.strategy = space, Darts(space, seed=0)
    for row, choice in zip(module.strategy.alpha.data, space.choices, strict=True):
        row[choice.options.index(wanted[choice.name.split("/")[-1]])] = 9.0
    assert preferred(module) == "kernel 5 21x, expansion 3 21x"


def test_the_time_left_is_never_0_while_the_bar_is_there(shown, likes_convolutions):
    bar, _, _ = shown(likes_convolutions, first_batch=8)  # the last of three epochs
    assert re.fullmatch(r"search epoch 1/3 \S+ (0:00:0[1-9]|-:--:--)", bar)
