"""Which runs stand in one row of a comparison, in one table, and what is said of them."""

import json
import os

import pytest
from made_runs import make_run

import nas_lightning as nl
from nas_lightning.run.folder import RunFolder
from nas_lightning.run.state import RunState


def rows_of(*folders):
    (rows,) = nl.compare(folders).tables.values()
    return rows


def finish(folder, time):
    os.utime(folder / "result.json", (time, time))
    return folder


def test_a_seed_counts_once_by_the_run_that_finished_last(tmp_path):
    tests = {"a": (0, 0.5), "b": (0, 0.9), "c": (0, 0.6), "d": (1, 0.7)}
    folders = [make_run(tmp_path / name, "darts", *tests[name]) for name in tests]
    for folder, time in zip(folders, (1, 3, 2, 4), strict=True):
        finish(folder, time)
    comparison = nl.compare(folders)
    ((row,),) = comparison.tables.values()
    assert (row["runs"], row["seeds"], row["tests"]) == (2, [0, 1], [0.9, 0.7])
    assert (
        "darts on darts: runs of one seed are not independent, so that a seed counts once, by the "
        f"run that finished last; of seed 0, 2 left out: {tmp_path / 'a'}, {tmp_path / 'c'}"
    ) in comparison.notes
    assert "deviation over seeds, of each the run that finished last" in comparison.html


def test_one_seed_several_times_has_no_interval(tmp_path):
    (row,) = rows_of(*(make_run(tmp_path / name, "darts", 3, 0.9) for name in "abc"))
    assert (row["test_std"], row["gain_interval"]) == (None, None)


@pytest.mark.parametrize(
    ("one", "other", "title"),
    [
        ({"input_shape": [2, 12]}, {"input_shape": [5]}, "2x12 inputs, unknown outputs"),
        ({"targets": "labels"}, {"targets": "classes"}, "unknown inputs, unknown labels"),
        ({"num_outputs": 3}, {"num_outputs": 10}, "unknown inputs, 3 outputs"),
    ],
)
def test_runs_on_other_shapes_outputs_or_targets_stand_in_tables_of_their_own(
    tmp_path, one, other, title
):
    folders = [make_run(tmp_path / "a", "darts", 0, 0.9), make_run(tmp_path / "b", "darts", 1, 0.9)]
    for folder, facts in zip(folders, (one, other), strict=True):
        (folder / "genotype.json").write_text(json.dumps({"provenance": facts}))
    tables = nl.compare(folders).tables
    assert len(tables) == 2
    assert f"test accuracy on digits ({title})" in tables


def test_runs_of_one_group_that_differ_in_cost_are_pointed_out(tmp_path):
    samples = {0: 1000, 1: 5000}
    folders = [
        make_run(tmp_path / str(seed), "darts", seed, 0.9, samples=samples[seed])
        for seed in samples
    ]
    assert (
        "darts on darts: its runs did not cost the same, 1,000 to 5,000 training samples: their "
        "deviation is not chance alone"
    ) in nl.compare(folders).notes


def test_a_search_without_cost_beside_another_is_pointed_out(tmp_path):
    costs = {"darts": 1000, "random": 0}
    folders = [make_run(tmp_path / name, name, 0, 0.9, samples=costs[name]) for name in costs]
    assert any("cost the same: 0 to 1,000 training" in note for note in nl.compare(folders).notes)


def test_a_default_that_is_typed_makes_no_group(tmp_path):
    typed = {"a": [], "b": ["strategy.epochs=10"], "c": ["strategy.epochs=20"], "d": ["export=[]"]}
    folders = [
        make_run(tmp_path / name, "darts", seed, 0.9, typed=typed[name])
        for seed, name in enumerate(typed)
    ]
    rows = {row["name"]: row["seeds"] for row in rows_of(*folders)}
    assert rows == {
        "darts on darts strategy.epochs=10": [0, 1, 3],
        "darts on darts strategy.epochs=20": [2],
    }


@pytest.mark.parametrize(
    ("typed", "names"),
    [([], [""]), (["max_seconds_in_all=60"], [" verdict.children=2", " verdict.children=24"])],
)
def test_the_verdict_sets_apart_runs_whose_epochs_depend_on_it(tmp_path, typed, names):
    folders = [
        make_run(tmp_path / f"{n}", "darts", n, 0.9, typed=[*typed, f"verdict.children={n}"])
        for n in (2, 24)
    ]
    assert [row["name"] for row in rows_of(*folders)] == [f"darts on darts{name}" for name in names]


@pytest.mark.parametrize("verdict", [{}, {"answer": "maybe"}, {"answer": ["worth it"]}, "worth it"])
def test_a_verdict_without_an_answer_is_a_broken_result(tmp_path, verdict):
    good = make_run(tmp_path / "a", "darts", 0, 0.9)
    broken = make_run(tmp_path / "b", "darts", 1, 0.9, verdict=verdict)
    (note,) = (each for each in nl.compare([good, broken]).notes if "broken" in each)
    assert f"{broken / 'result.json'}: verdict must " in note


def test_groups_that_nobody_typed_apart_are_named_by_their_configuration(tmp_path):
    one = make_run(tmp_path / "one", "darts", 0, 0.9, composed=["child.epochs=3"])
    two = make_run(tmp_path / "two", "darts", 0, 0.8, composed=["child.epochs=9"])
    assert [row["name"] for row in rows_of(one, two)] == [
        "darts on darts child.epochs=3",
        "darts on darts child.epochs=9",
    ]


def test_objects_that_python_passed_tell_groups_apart(tmp_path):
    folders = [make_run(tmp_path / name, "Mine", 0, 0.9) for name in ("Mine(epochs=1)", "Mine()")]
    for folder in folders:
        (folder / ".hydra" / "objects.json").write_text(json.dumps({"strategy": folder.name}))
    names = {row["name"] for row in rows_of(*folders)}
    assert names == {"Mine on darts strategy=Mine(epochs=1)", "Mine on darts strategy=Mine()"}


@pytest.mark.parametrize("name", ["config.yaml", "hydra.yaml", "objects.json"])
def test_a_run_whose_configuration_is_broken_is_left_out(tmp_path, name):
    broken = make_run(tmp_path / "broken", "darts", 0, 0.9)
    (broken / ".hydra" / name).write_text("[: ]")
    comparison = nl.compare([make_run(tmp_path / "whole", "darts", 1, 0.9), broken])
    assert comparison.notes[0].startswith(f"a file of the run {broken} is broken: ")


def test_a_broken_drawing_is_left_out_and_named(tmp_path):
    folder = make_run(tmp_path / "run", "darts", 0, 0.9)
    (folder / "genotype.svg").write_text("<svg")
    assert f"{folder}/genotype.svg must be a drawing that" in nl.compare([folder]).html


def test_the_whole_page_has_twelve_drawings_at_most(tmp_path):
    folders = [
        make_run(tmp_path / f"{data} {strategy}", strategy, 0, 0.9, data=f"data{data}")
        for data in range(7)
        for strategy in ("darts", "gdas")
    ]
    page = nl.compare(folders).html
    assert page.count('<div class="cells">') == 12
    assert page.count("1 more are left out, to keep the page small.") == 2


def test_what_would_make_the_page_too_large_is_left_out(tmp_path, monkeypatch):
    folders = [make_run(tmp_path / str(n), "darts", 0, 0.9, data=f"data{n}") for n in range(3)]
    monkeypatch.setattr("nas_lightning.reports.comparison.MOST_BYTES", 30_000)
    page = nl.compare(folders).html
    charts = page.count('<div class="chart"><script')
    assert 0 < charts < 3
    assert page.count("The chart is left out, to keep the page small.") == 3 - charts


def test_a_call_that_took_objects_is_resumed_in_python(tmp_path):
    folder = make_run(tmp_path / "run", "Mine", 0, None)
    (folder / ".hydra" / "objects.json").write_text('{"strategy": "Mine(epochs=1)"}')
    state = RunState.of(RunFolder(folder))
    assert (state.word, state.command) == (
        "interrupted",
        f"nl.search(strategy=<Mine(epochs=1)>, folder={str(folder)!r}, resume=True)",
    )
