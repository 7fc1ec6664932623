from nas_lightning.core.genotype import Genotype
from nas_lightning.core.strategy import Trial
from nas_lightning.run.trial_progress import TrialProgress

GENOTYPE = Genotype.of("made up", {"op": "a"})


def test_the_time_that_is_left_ends_at_the_cap_of_samples(capsys):
    printer = TrialProgress(total=100, max_samples=30)
    cost = {"wall_s": 2.0, "training_samples": 10.0}
    told = [Trial(n, GENOTYPE, reward=0.5, cost=cost) for n in range(2)]
    printer.show(told[:1])
    printer.show(told)
    assert [line.split("  ")[-1] for line in capsys.readouterr().err.splitlines()] == [
        "4 s left",
        "2 s left",
    ]
