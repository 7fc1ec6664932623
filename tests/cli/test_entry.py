"""A command is picked by its name."""

import subprocess
import sys

import pytest

from nas_lightning.cli.entry import main


@pytest.mark.parametrize("flag", ["--help", "-h", "--version"])
def test_help_without_a_command_lists_the_commands(flag, capsys):
    main([flag])
    assert "benchmark, derive, measure, report, search, show, train" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["serach"]])
def test_an_unknown_command_lists_the_commands(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert "choose from: benchmark, derive, measure, report, search, show, train" in error
    assert ("; did you mean 'search'?" in error) == bool(arguments)


def test_a_command_ends_without_looking_for_what_ends_with_it():
    code = """
import atexit, gc
from nas_lightning.cli.entry import main
atexit.register(lambda: print("frozen", gc.get_freeze_count() > 0))
main(["derive", "--help"])
"""
    path = f"import sys; sys.path[:0] = {sys.path!r}\n"
    command = [sys.executable, "-c", path + code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("frozen True\n")
