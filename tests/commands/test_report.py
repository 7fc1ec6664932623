"""nas-report compares runs by what they left."""

import re
import shutil
import subprocess
import sys
from collections import Counter
from statistics import mean, stdev

import pytest
from command import run
from made_runs import make_run
from omegaconf import OmegaConf

import nas_lightning as nl
from nas_lightning.files import ProcessLock
from nas_lightning.reports.comparison import COLUMNS, cells_of, draw_costs
from nas_lightning.reports.metric import MainMetric


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    tests = {"darts": (0.90, 0.92, 0.94), "gdas": (0.95, 0.96, 0.99)}
    for strategy, values in tests.items():
        for seed, test in enumerate(values):
            make_run(folder / f"{strategy}_{seed}", strategy, seed, test)
    return folder


@pytest.fixture
def runs(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    shutil.copytree(made, tmp_path / "outputs")
    return sorted((tmp_path / "outputs").iterdir())


def test_groups_have_mean_and_deviation_over_seeds_the_best_first(runs):
    (rows,) = nl.compare(runs).tables.values()
    assert [row["name"] for row in rows] == ["gdas on darts", "darts on darts"]
    assert rows[0]["test"] == pytest.approx(mean((0.95, 0.96, 0.99)))
    assert rows[0]["test_std"] == pytest.approx(stdev((0.95, 0.96, 0.99)))
    assert [row["runs"] for row in rows] == [3, 3]


def test_the_difference_to_a_random_genotype_has_students_interval_over_pairs(tmp_path):
    pairs = ((0.90, 0.89), (0.92, 0.90), (0.94, 0.91))
    for seed, (test, other) in enumerate(pairs):
        make_run(tmp_path / str(seed), "darts", seed, test, other)
    (rows,) = nl.compare([tmp_path / str(seed) for seed in range(3)]).tables.values()
    assert rows[0]["gain"] == pytest.approx(0.02)
    # 97.5 % quantile of Student's t with two degrees of freedom (tables): 4.3027
    assert rows[0]["gain_interval"] == pytest.approx(4.3027 * 0.01 / 3**0.5, rel=1e-4)


def test_one_run_has_no_interval_and_a_note_says_why(runs):
    comparison = nl.compare(runs[:1])
    (rows,) = comparison.tables.values()
    assert rows[0]["gain_interval"] is None
    assert "one run tells nothing of chance: repeat it, e.g. -m seed=0,1,2,3,4" in comparison.notes


def test_networks_that_were_not_trained_are_told_with_the_line_that_trains_them(tmp_path):
    folders = [make_run(tmp_path / str(seed), "darts", seed, 0.9, child=None) for seed in (0, 1)]
    line = f"nas-train genotype={folders[0]}"
    told = f"its network was not trained, so nothing was tested; train it: {line}"
    assert f"darts on darts: {told}" in nl.compare(folders[:1]).notes
    told = f"2 networks were not trained or tested; train each, e.g.: {line}"
    assert f"darts on darts: {told}" in nl.compare(folders).notes


def test_searches_of_different_cost_are_pointed_out(runs, tmp_path):
    cheap = make_run(tmp_path / "cheap", "random", 0, 0.9, samples=100)
    notes = nl.compare([*runs, cheap]).notes
    assert any("100 to 1,000 training samples" in note for note in notes)
    assert not any("did not cost the same" in note for note in nl.compare(runs).notes)


def test_keys_that_differ_make_groups_and_their_names(tmp_path):
    for number, order in enumerate(("first", "second")):
        make_run(tmp_path / order, "darts", number, 0.9, typed=[f"strategy.order={order}"])
    (rows,) = nl.compare([tmp_path / "first", tmp_path / "second"]).tables.values()
    names = {"darts on darts strategy.order=first", "darts on darts strategy.order=second"}
    assert {row["name"] for row in rows} == names


def test_a_lower_error_stands_first(tmp_path):
    metric = {"name": "rmse", "higher_is_better": False, "is_share": False}
    for strategy, error in (("darts", 3.0), ("gdas", 2.0)):
        child = {"test_rmse": error}
        make_run(tmp_path / strategy, strategy, 0, 0.5, metric=metric, child=child)
    (rows,) = nl.compare([tmp_path / "darts", tmp_path / "gdas"]).tables.values()
    assert [row["name"] for row in rows] == ["gdas on darts", "darts on darts"]


def test_runs_on_other_data_stand_in_a_table_of_their_own(runs, tmp_path):
    other = make_run(tmp_path / "other", "darts", 0, 0.5, data="fashion")
    comparison = nl.compare([*runs, other])
    assert list(comparison.tables) == ["test accuracy on digits", "test accuracy on fashion"]


def test_runs_that_read_other_data_of_the_same_name_are_pointed_out(tmp_path):
    for seed, content in enumerate(("a1", "b2")):
        make_run(tmp_path / content, "darts", seed, 0.9, data_identity={"content": content})
    notes = nl.compare([tmp_path / "a1", tmp_path / "b2"]).notes
    assert any("the runs did not read the same data" in note for note in notes)


def test_a_broken_result_is_named_and_the_others_are_shown(runs):
    (runs[0] / "result.json").write_text("{")
    for broken in ("{", "[]", "3", '{"child": []}', '{"seed": "a"}', '{"metric": {}}', "\xff"):
        (runs[0] / "result.json").write_bytes(broken.encode("latin-1"))
        comparison = nl.compare(runs)
        assert len(comparison.tables["test accuracy on digits"]) == 2
        (note,) = (note for note in comparison.notes if "broken" in note)
        assert re.search(r"darts_0/result\.json.*; remove the file and resume the run", note)
        with pytest.raises(
            ValueError, match=r"no finished run to compare; a file of the run .*_0 is"
        ):
            nl.compare(runs[:1])


def test_a_run_given_twice_counts_once(runs):
    comparison = nl.compare([runs[0], runs[0]])
    (rows,) = comparison.tables.values()
    assert rows[0]["runs"] == 1
    assert f"{runs[0]} was given more than once; it counts once" in comparison.notes


def test_one_folder_needs_no_list_and_no_run_is_refused(runs):
    for one in (runs[0], str(runs[0])):
        assert nl.compare(one).tables == nl.compare([one]).tables
    with pytest.raises(ValueError, match=r"^runs \(\[\]\) must be one at least; give folders"):
        nl.compare([])


def test_a_comparison_prints_as_the_command_does(runs, capsys):
    comparison = nl.compare(runs)
    assert repr(comparison).splitlines()[0] == "test accuracy on digits"
    run("report", *map(str, runs))
    printed = capsys.readouterr().out
    print(comparison)
    assert printed.startswith(capsys.readouterr().out)


def test_two_runs_of_a_group_say_little(runs):
    note = "two runs tell little of chance: run more seeds, e.g. -m seed=0,1,2,3,4"
    assert note in nl.compare(runs[:2]).notes
    assert note not in nl.compare(runs[:3]).notes


@pytest.mark.parametrize("typed", [("--out", "p.html"), ("out=p.html",), ("output=p.html",)])
def test_the_page_may_be_named_as_for_the_other_commands(runs, tmp_path, capsys, typed):
    run("report", str(runs[0]), *typed)
    assert capsys.readouterr().out.endswith("page: p.html\n")
    assert (tmp_path / "p.html").is_file()


def test_a_page_of_another_form_is_refused(runs, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run("report", str(runs[0]), "--out", "p.txt")
    assert (
        "error: out (p.txt) must end in .html, as the page is HTML; use" in capsys.readouterr().err
    )
    assert not (tmp_path / "p.txt").exists()


def test_a_sweep_stands_for_its_jobs_and_unfinished_ones_are_named(tmp_path):
    OmegaConf.save({}, tmp_path / "multirun.yaml")
    for seed, test in enumerate((0.9, 0.8, None)):
        make_run(tmp_path / str(seed), "darts", seed, test)
    comparison = nl.compare([tmp_path])
    (rows,) = comparison.tables.values()
    assert rows[0]["runs"] == 2
    job = tmp_path / "2"
    assert (
        f"{job} was interrupted; nas-search resume={job} runs it anew, as nothing was kept yet; "
        "it is left out" in comparison.notes
    )


def test_the_command_prints_the_table_and_writes_a_small_page(runs, tmp_path, capsys):
    run("report", *map(str, runs), "--out", "both.html")
    printed = capsys.readouterr().out
    assert "gdas on darts" in printed
    assert "96.67 % \u00b1 2.08" in printed
    page = (tmp_path / "both.html").read_text()
    assert page.count('<div class="cell">') == 4
    assert "@media screen and (prefers-color-scheme: dark) { :root { --c1f2933: #e6e9ed;" in page
    assert page.count('<p class="pale narrow">The table goes on to the right') == 1
    assert len(page) < 3_000_000
    assert "http://" not in page.split("<script>")[0].replace("http://www.w3.org", "")


def test_the_chart_of_costs_keeps_to_the_schema_of_vega_lite(runs):
    (rows,) = nl.compare(runs).tables.values()
    assert draw_costs(rows, MainMetric()).to_dict(validate=True)


def test_a_file_gets_unwrapped_lines_with_every_column(runs, monkeypatch, capsys):
    monkeypatch.delenv("COLUMNS")
    dear = make_run(runs[0].parent / "dear", "snas", 0, 0.9, samples=12_345_678)
    run("report", *map(str, runs), str(dear))
    heads, _, _, row = capsys.readouterr().out.splitlines()[1:5]
    assert re.split(r"\s\s+", heads.strip()) == list(COLUMNS[1:])
    cells = ["snas on darts", "1", "90.00 %", "+0.00", "-", "1,000", "5,000", "12,345,678"]
    cells.append("1 min 00 s")
    assert re.split(r"\s\s+", row) == cells


@pytest.mark.parametrize("columns", [100, 80, 40, 20])
def test_a_narrow_terminal_loses_no_digit_of_a_table(runs, monkeypatch, capsys, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    dear = make_run(runs[0].parent / "dear", "snas", 0, 0.9, samples=12_345_678)
    run("report", *map(str, runs), str(dear))
    table = capsys.readouterr().out.partition("note: ")[0]
    for cell in ("snas on darts", "96.67 % \u00b1 2.08", "12,345,678", "5,000", "1 min"):
        assert cell in table
    widest = 40  # of a row of a block: its longest head, and a gain with its interval
    assert max(map(len, table.splitlines())) <= max(columns, widest)


@pytest.mark.parametrize("columns", ["", "80", "20"])
def test_paths_in_the_list_of_runs_stay_whole(tmp_path, monkeypatch, capsys, columns):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", columns)
    name = "outputs/search/2026-11-29/12-30-00_darts_darts_seed0_with_some_words"
    make_run(tmp_path / name, "darts", 0, 0.9)
    run("report")
    printed = capsys.readouterr().out
    assert name in printed
    assert "90.00 % accuracy" in printed
    assert len(printed.splitlines()) == {"": 2, "80": 4, "20": 7}[columns]


def test_long_names_stand_below_the_table(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for order in ("first", "second"):
        make_run(tmp_path / order, "darts", 0, 0.9, typed=[f"strategy.order={order}"])
    run("report", "first", "second")
    lines = capsys.readouterr().out.splitlines()
    assert "[1] darts on darts strategy.order=first" in lines
    assert "[2] darts on darts strategy.order=second" in lines


def test_the_command_alone_lists_the_runs_under_outputs(runs, tmp_path, capsys):
    for name in ("stopped", "at work", "failed", "broken"):
        make_run(tmp_path / "outputs" / name, "snas", 0, None)
    (tmp_path / "outputs" / "failed" / "error.txt").write_text("no room\nmore")
    (tmp_path / "outputs" / "broken" / "result.json").write_text("[]")
    with ProcessLock(tmp_path / "outputs" / "at work" / ".hydra" / "lock").take():
        run("report")
    printed = capsys.readouterr().out
    states = [line.split()[-1] for line in printed.splitlines() if line.startswith("outputs/")]
    counts = {"finished": 6, "interrupted": 1, "running": 1, "failed": 1, "broken": 1}
    assert Counter(states) == counts
    assert "interrupted: nas-search resume=outputs/stopped\n" in printed
    assert "failed: nas-search resume=outputs/failed\n" in printed
    assert printed.count("resume=") == 2
    assert not (tmp_path / "comparison.html").exists()


def test_the_command_alone_says_where_no_run_is(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run("report")
    assert capsys.readouterr().out == "there is no run under outputs/; nas-search makes one\n"


def test_a_folder_without_a_run_is_refused_by_name(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        run("report", str(tmp_path))
    assert stop.value.code == 1
    assert f"{tmp_path} must be the folder of a run or of a sweep" in capsys.readouterr().err


def test_a_benchmark_is_refused(tmp_path):
    folder = make_run(tmp_path / "bench", "darts", 0, 0.9, command="benchmark")
    with pytest.raises(ValueError, match=r"bench is a run of nas-benchmark, whose result is no"):
        nl.compare([folder])


def test_a_notebook_shows_the_comparison_and_nothing_is_written(runs, tmp_path):
    assert "Comparison of runs" in nl.compare(runs)._repr_html_()
    assert not list(tmp_path.glob("*.html"))


def test_the_command_needs_no_torch():
    code = (
        "import sys; from nas_lightning.cli.entry import main\n"
        "main(['report']); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (("worth it", "undecided", "not worth it"), "1 of 3, 1 undecided"),
        (("worth it", "worth it", "not worth it"), "2 of 3"),
        (("undecided",), "undecided"),
        (("not worth it",), "0 of 1"),
    ],
)
def test_the_table_counts_the_runs_whose_search_was_worth_it(answers, words, tmp_path):
    paths = [
        make_run(tmp_path / str(n), "darts", n, 0.9, verdict={"answer": answer})
        for n, answer in enumerate(answers)
    ]
    (rows,) = nl.compare([*paths, make_run(tmp_path / "3", "darts", 3, 0.9)]).tables.values()
    assert cells_of(rows[0], MainMetric())[COLUMNS.index("worth it")] == words
