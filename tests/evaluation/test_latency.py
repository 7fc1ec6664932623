"""Profiles of latency, and what they predict of children and mixtures."""

import json
import re
from dataclasses import replace
from math import nan
from random import Random

import pytest
import torch
from plug_ins import Separate

from nas_lightning.core.choices import Mixture
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import uniform_mixture
from nas_lightning.evaluation import latency as module
from nas_lightning.evaluation import latency_profile
from nas_lightning.evaluation.latency import Latency, use_counts
from nas_lightning.evaluation.latency_profile import cache_file, profile_here, read_profile
from nas_lightning.evaluation.timing import Timing
from nas_lightning.run.latency import profile_of
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.training.hardware import Hardware

SPACE = DartsSpace(nodes=1, ops=("none", "skip_connect", "sep_conv_3x3"), min_edges=0)
SCALE = Scale(4, 3, flavour="child", input_shape=(1, 8, 8), num_outputs=3)


@pytest.fixture(autouse=True)
def clock(monkeypatch, tmp_path):
    """Every call takes 2 ms, and children as much as they are told; counts what is measured."""
    measured = []

    def fake(calls, threads, most_s):
        measured.append(len(calls))
        return [Timing(2.0, 0.0, 50) for _ in calls]

    monkeypatch.setattr(module, "interleaved", fake)
    monkeypatch.setattr(module, "NUM_FITTED", 2)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return measured


def here():
    empty = profile_here(1)
    return replace(empty, path=cache_file(empty), grows=True)


def test_a_childs_latency_is_the_sum_of_what_it_runs_and_an_overhead():
    latency = Latency(SPACE, SCALE, here())
    genotype = SPACE.sample(Random(1))
    counts = use_counts(SPACE, genotype, SCALE)
    overhead = latency.profile.networks[latency.id]["overhead_ms"]
    assert latency(genotype) == pytest.approx(2.0 * sum(counts.values()) + overhead)


def test_the_expected_latency_is_the_mean_over_children_and_has_their_gradient():
    latency = Latency(SPACE, SCALE, here())
    options = torch.full_like(uniform_mixture(SPACE.choices).weights, 0.0, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    weights = (options + torch.rand(options.shape, generator=generator)).softmax(-1)
    weights.requires_grad_()
    mixture = Mixture(weights, uniform_mixture(SPACE.choices).support)
    value = latency.cost.of(mixture)["latency_ms"]
    (gradient,) = torch.autograd.grad(value, weights)
    step = torch.zeros_like(weights)
    step[0, 2] = 1e-3
    with torch.no_grad():
        above = latency.cost.of(Mixture(weights + step, mixture.support))["latency_ms"]
        below = latency.cost.of(Mixture(weights - step, mixture.support))["latency_ms"]
    assert gradient[0, 2].item() == pytest.approx((above - below).item() / 2e-3)
    genotype = SPACE.sample(Random(2))
    exact = latency.cost.of(SPACE.mixture(genotype))["latency_ms"]
    assert exact.item() == pytest.approx(latency(genotype))


def test_what_was_measured_here_is_kept_and_only_the_rest_is_measured(clock):
    Latency(SPACE, SCALE, here())
    Latency(SPACE, SCALE, here())
    assert len(clock) == 1
    Latency(SPACE, replace(SCALE, num_outputs=4), here())  # another classifier
    assert clock[1] == 1 + module.NUM_FITTED


def test_a_run_keeps_its_latencies_whatever_is_measured_later(clock, tmp_path, monkeypatch):
    home, hardware = tmp_path / "run" / "latency.json", Hardware(latency="here")
    first = Latency(SPACE, SCALE, profile_of(hardware, home))
    values = [first(SPACE.sample(number)) for number in range(3)]
    slow = Timing(9.0, 0.0, 50)
    monkeypatch.setattr(module, "interleaved", lambda calls, *_: [slow] * len(calls))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    Latency(SPACE, SCALE, here())
    again = Latency(SPACE, SCALE, profile_of(hardware, home))  # a resume, or another process
    assert [again(SPACE.sample(number)) for number in range(3)] == values
    assert again.profile.operations == first.profile.operations
    assert first(SPACE.sample(0)) != Latency(SPACE, SCALE, here())(SPACE.sample(0))


def test_a_run_notes_whole_children_as_they_are_measured_and_those_alone(clock, tmp_path):
    home, hardware = tmp_path / "run" / "latency.json", Hardware(latency="here")
    space = Separate(nodes=1)
    Latency(SPACE, SCALE, here())
    Latency(space, SCALE, profile_of(hardware, home))(space.sample(0))
    again = Latency(space, SCALE, profile_of(hardware, home))
    assert (again(space.sample(0)), len(again.profile.operations), len(clock)) == (2.0, 1, 2)


def test_a_run_goes_by_the_profile_that_it_began_with(tmp_path):
    path, home = written(tmp_path), tmp_path / "run" / "latency.json"
    hardware = Hardware(latency=str(path))
    began = Latency(SPACE, SCALE, profile_of(hardware, home))
    path.unlink()
    resumed = Latency(SPACE, SCALE, profile_of(hardware, home))
    assert resumed(SPACE.sample(0)) == began(SPACE.sample(0))


def test_a_run_resumes_elsewhere_unless_it_has_to_measure(tmp_path, monkeypatch):
    home, hardware = tmp_path / "run" / "latency.json", Hardware(latency="here")
    began = Latency(SPACE, SCALE, profile_of(hardware, home))
    monkeypatch.setattr(latency_profile, "cpu_name", lambda: "Z80")
    resumed = Latency(SPACE, SCALE, profile_of(hardware, home))
    assert resumed(SPACE.sample(0)) == began(SPACE.sample(0))
    where = re.escape(f"resume the run where it began, on {began.profile.device} with torch ")
    with pytest.raises(ValueError, match=f"before, which hardware.latency .* needs; {where}"):
        Latency(Separate(nodes=1), SCALE, profile_of(hardware, home))
    with pytest.raises(ValueError, match=f"lacks Stem 3x3; {where}"):
        Latency(SPACE, replace(SCALE, channels=8), profile_of(hardware, home))


def test_children_of_a_space_without_a_supernet_are_measured_as_wholes(clock):
    space = Separate(nodes=1)
    latency = Latency(space, SCALE, here())
    genotype = space.sample(Random(0))
    assert (latency(genotype), latency(genotype)) == (2.0, 2.0)
    assert clock == [1]
    with pytest.raises(ValueError, match="has no supernet whose expected latency could be told"):
        latency.cost  # noqa: B018


def written(tmp_path):
    path = tmp_path / "profile.json"
    Latency(SPACE, SCALE, replace(profile_here(1), grows=True)).profile.write(path)
    return path


def test_a_profile_reads_back_as_it_was_written(tmp_path):
    path = written(tmp_path)
    profile = read_profile(path, None)
    latency = Latency(SPACE, SCALE, profile)
    assert latency(SPACE.sample(0)) == Latency(SPACE, SCALE, here())(SPACE.sample(0))
    with pytest.raises(ValueError, match=r"must be a profile of this run's threads \(2\), got 1"):
        read_profile(path, 2)


def test_a_factor_weighs_the_sum_of_operations(tmp_path):
    path = written(tmp_path)
    content = json.loads(path.read_text())
    content["networks"][0] |= {"factor": 0.25, "overhead_ms": 1.0}
    path.write_text(json.dumps(content))
    counts = use_counts(SPACE, SPACE.sample(0), SCALE)
    latency = Latency(SPACE, SCALE, read_profile(path, None))
    assert latency(SPACE.sample(0)) == pytest.approx(1.0 + 0.25 * 2.0 * sum(counts.values()))


def of_a(part, **values):
    return {part: [{"id": "a"} | values]}


BAD = {
    "device": (
        {"device": "Z80"},
        r"of this run's device \(.+\), got Z80; measure one with nas-",
    ),
    "version": ({"versions": {"torch": "1.0"}}, r"this run's version of torch \(.+\), got 1.0;"),
    "dtype": ({"dtype": "int8"}, r"of this run's dtype \(float32\), got int8; .*latency=here"),
    "of a later format": (
        {"version": 2},
        r"latency 1 \(format and version must be those, got \('nas-lightning/latency', 2\)\); mea",
    ),
    "no operations": (
        {"operations": None},
        r"\(operations must be a list, got None\); measure one",
    ),
    "no number": (of_a("operations", median_ms="1"), "median_ms of a must be a number .*, got '1'"),
    "negative": (of_a("operations", median_ms=-1), "median_ms of a must be .* least 0, got -1"),
    "true": (of_a("operations", median_ms=True), "median_ms of a must be a number .*, got True"),
    "too large": (of_a("operations", median_ms=10**400), "median_ms of a must be .*, got 1000"),
    "no id": ({"operations": [[]]}, r"each of operations must be an object with an id, got \[\]"),
    "NaN": (of_a("networks", overhead_ms=nan), "overhead_ms of a must be .* finite, got nan"),
    "no factor": (
        of_a("networks", overhead_ms=0, factor=0),
        "factor of a must be a number above 0, got 0",
    ),
    "a list of versions": ({"versions": ["2"]}, r"\(versions must be an object, got \['2'\]\)"),
    "a number as version": (
        {"versions": {"torch": 2}},
        "versions 'torch' must be 1 to .*got 2",
    ),
    "no thread": ({"threads": 0}, r"\(threads must be a whole number from 1 to 1024, got 0\)"),
    "threads in words": ({"threads": "two"}, "threads must be a whole number from 1 .*, got 'two'"),
    "colours": (
        {"runtime": "\x1b[31mred"},
        r"runtime must be 1 .* printable.*got '\\x1b\[31mred'",
    ),
    "a long name": ({"device": "x" * 999}, r"device must be 1 to 200 .*got 'x{59}\)"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_profile_of_something_else_is_refused_by_name(name, tmp_path):
    changes, message = BAD[name]
    path = tmp_path / "profile.json"
    profile_here(1).write(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(ValueError, match=message):
        read_profile(path, None)


@pytest.mark.parametrize("content", [None, "", "[]", '{"format": "x"}', "\0", "[" * 10**5])
def test_a_file_that_is_no_profile_is_refused_by_name(content, tmp_path):
    path = tmp_path / "other.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match=r"hardware.latency \(.*other.json\) must be here, or a"):
        read_profile(path, None)


def test_what_is_kept_here_is_measured_anew_where_it_is_broken(clock, capsys):
    Latency(SPACE, SCALE, here())
    here().path.write_text("{")
    Latency(SPACE, SCALE, here())
    assert f"{here().path} is broken: all is measured anew" in capsys.readouterr().err
    Latency(SPACE, SCALE, here())
    assert len(clock) == 2


def test_a_folder_that_cannot_keep_latencies_is_refused_by_name(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ValueError, match=r"but .*/latency cannot be written \(.+\); set XDG_CACHE"):
        Latency(SPACE, SCALE, here())


def test_the_broken_latencies_of_a_run_are_refused(tmp_path):
    (tmp_path / "latency.json").write_text("{}")
    with pytest.raises(ValueError, match=r"'format' is missing\); .* began with: start a new run"):
        profile_of(Hardware(latency="here"), tmp_path / "latency.json")


def test_a_profile_that_lacks_an_operation_or_a_supernet_is_refused(tmp_path):
    profile = read_profile(written(tmp_path), None)
    with pytest.raises(ValueError, match="children of space 'darts' run at this size, but lacks"):
        Latency(SPACE, replace(SCALE, channels=8), profile)
    with pytest.raises(ValueError, match="'darts' has no supernet that tells all operations befor"):
        Latency(Separate(nodes=1), SCALE, profile)
