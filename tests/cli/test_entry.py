"""A command is picked by its name."""

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
