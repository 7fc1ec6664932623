"""Children inherit the params of a shared supernet, train for some steps and give them back.

Source: Pham et al., ENAS, 2018 (arXiv:1802.03268), section 2: all children are subgraphs of one
network and share its params; Guo et al., Single Path One-Shot (SPOS), 2020 (arXiv:1904.00420), for
measuring children that are not trained (`steps=0`), and for BatchNorm's recalibrated statistics.
Deliberate differences from ENAS: any black-box strategy proposes the children; each one trains for
`steps` steps in turn, with the child's recipe over just these steps and a new optimiser, where ENAS
draws a child per step and trains params and controller in alternate phases; it is measured on the
whole validation part, not on one batch; a few random children may train the params first. From
SPOS: its random children train for several steps each, where SPOS draws one per step. Several
children may be trained at once, each from the version of the bank of the moment when it was asked
for (see `evaluation.weight_bank`); ENAS trains one at a time.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from random import Random
from time import perf_counter
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from nas_lightning.core.checks import at_least, one_of
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.search_space import child_cost, inherit
from nas_lightning.core.seeding import keyed_seed
from nas_lightning.core.strategy import Trial
from nas_lightning.data.batches import View
from nas_lightning.evaluation.by_training import Candidates
from nas_lightning.evaluation.evaluation import Evaluation
from nas_lightning.evaluation.weight_bank import (
    BankFolder,
    ChildWeights,
    WeightBank,
    check_supernet,
    give_back,
    merged,
)
from nas_lightning.networks.batch_norm import batch_norms, recalibrated, still_statistics
from nas_lightning.training.child import ChildModule, build_child, built
from nas_lightning.training.cost_meter import CostMeter

__all__ = ["Inherited"]

STATISTICS = ("recalibrated", "batch", "running")

Forward = Callable[[Tensor], Tensor]
Params = dict[str, Tensor]


class Inherited(Evaluation):
    """Trains each child for a few steps from a bank of shared params (see the module).

    With `steps=0` the bank stands still after the random children, and measures all others. Its
    versions lie in the run's `children/` while it searches.

    Args:
        steps: training steps of each child, from its inherited params; 0 trains none.
        warmup: random children that train the bank before the first trial, at whose cost.
        warmup_steps: training steps of each of these.
        statistics: what BatchNorm measures a child by: "recalibrated" takes the statistics of
            training batches after the child's training, "batch" each validation batch's own,
            "running" those that moved while the child was trained.
        recalibration: batches that recalibration takes, at least 1.

    Raises: ValueError: a value is out of range, or the space has no supernet of the child's scale.
    """

    is_ordered = True

    def __init__(
        self,
        run: Candidates,
        steps: int = 20,
        warmup: int = 8,
        warmup_steps: int = 20,
        statistics: str = "recalibrated",
        recalibration: int = 4,
    ) -> None:
        at_least("evaluation.warmup", warmup, 0)
        at_least("evaluation.steps", steps, 0)
        at_least("evaluation.warmup_steps", warmup_steps, 1, use=20)
        at_least("evaluation.recalibration", recalibration, 1, use=4)
        one_of("evaluation.statistics", statistics, STATISTICS)
        _check_bank(steps, warmup, statistics)
        self.run, self.steps, self.warmup, self.warmup_steps = run, steps, warmup, warmup_steps
        self.statistics, self.recalibration = statistics, recalibration
        self.scale = run.recipe.scale
        check_supernet(run.space, self.scale)
        self.batch_size = run.recipe.batch_size or run.data.batch_size
        self.stage = run.data.candidate(None, None, self.batch_size, run.recipe.cutout)
        self.versions = BankFolder(run.folder)

    def measures(self) -> frozenset[str]:
        """Returns the names of the child's validation metrics and size."""
        metrics = {f"validation_{name}" for name in (*self.run.task.names, "loss")}
        return frozenset({*metrics, "parameters", "multiply_adds"})

    def samples(self, budget: float = 1.0) -> int:
        """Returns the training samples of one child."""
        return self.steps * self.batch_size

    def samples_of(self, trial: Trial) -> int:
        """Returns the training samples of a trial; the first pays for the random children too."""
        first = self.warmup * self.warmup_steps if trial.number == 0 else 0
        return (first + self.steps) * self.batch_size

    def work(self, trial: Trial) -> float:
        """Returns the multiply-adds of a child times its training samples.

        The random children are trained before any trial.
        """
        multiply_adds = child_cost(self.run.space, trial.genotype, self.scale)["multiply_adds"]
        return float(max(1, multiply_adds) * max(1, self.samples()))

    def worst(self, trial: Trial) -> dict[str, float]:
        """Returns what is told of a child that cannot be trained."""
        metrics = {f"validation_{self.run.task.metric}": self.run.task.worst}
        return metrics | child_cost(self.run.space, trial.genotype, self.scale)

    def files(self, trial: Trial) -> tuple[list[str], list[str]]:
        """Returns the bank's version that a trial begins with, and what its child gives."""
        written = [self.versions.child_name(trial.number)] if self.steps else []
        return [self.versions.bank_name(self._version(trial))], written

    def prepare(self, trial: Trial, seed: int) -> None:
        """Trains the random children before the first trial, whose seed is that of the bank."""
        if trial.number == 0:
            self._bank(trial, seed)

    def evaluate(self, trial: Trial, seed: int) -> tuple[dict[str, float], CostMeter]:
        """Returns a child's validation metrics and size, and what its training cost.

        A trial that was evaluated and not settled may be evaluated again, and costs nothing more.

        Raises: ValueError: the version of the bank that the trial begins with is lost.
        """
        number, cost = trial.number, CostMeter()
        if (child := self.versions.child_weights(number)) is not None:
            cost.add(child.cost)
            return dict(child.measurements), cost
        bank, started = self._bank(trial, seed), perf_counter()
        index = self.warmup * self._epochs(self.warmup_steps)
        index += number * self._epochs(self.steps)
        epochs = max(1, self._epochs(self.steps))
        module = self._child(bank.params, trial.genotype, seed, epochs)
        metrics, state = self._evaluated(module, self.stage.later(index), cost)
        metrics |= child_cost(self.run.space, trial.genotype, self.scale)
        seconds = perf_counter() - started
        cost.add(CostMeter(seconds, seconds))  # of one process, which trains no other child
        if number == 0:
            cost.add(bank.cost)
        if self.steps:
            names = [name for name, _ in module.network.named_parameters()]
            self.versions.give(number, ChildWeights(state, names, metrics, cost.as_dict()))
        return metrics, cost

    def settle(self, trial: Trial, told: int, in_flight: Sequence[Trial]) -> None:
        """Merges what a trial's child gives into the bank, and removes what nobody needs any more.

        Raises: ValueError: a version of the bank, or what the child gives, is lost.
        """
        if self.steps == 0:
            return
        versions, awaited = self.versions, [trial, *in_flight]
        needed = {versions.bank_name(self._version(each)) for each in awaited}
        children = {versions.child_name(each.number) for each in awaited}
        versions.retain({versions.bank_name(told), *needed, *children})
        bank = versions.bank(told)
        if not trial.failure:  # whose child gives nothing
            base, child = versions.bank(self._version(trial)), versions.child_weights(trial.number)
            if child is None:
                raise versions.lost(f"what the child of trial {trial.number} gave back")
            bank = merged(bank, base, child)
        versions.write(told + 1, replace(bank, cost={}))

    def _version(self, trial: Trial) -> int:
        """Returns the version that a trial begins with."""
        if self.steps == 0:
            return 0
        return trial.number if trial.after is None else trial.after

    def _epochs(self, steps: int) -> int:
        """Returns how many epochs' batches so many steps take; each child begins a new one."""
        return -(-steps // len(self.stage.train_dataloader()))

    def _bank(self, trial: Trial, seed: int) -> WeightBank:
        """Returns the version that a trial begins with; the first trial makes the first one."""
        version = self._version(trial)
        if trial.number == 0 and not self.versions.has_bank(version):
            self.versions.write(version, self._new_bank(seed))
        return self.versions.bank(version)

    def _new_bank(self, seed: int) -> WeightBank:
        """Returns a bank of drawn params, trained by random children."""
        space, cost, started = self.run.space, CostMeter(), perf_counter()
        network = built(lambda: space.supernet(self.scale), keyed_seed(seed, "bank"))
        params = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        rng, epochs = Random(keyed_seed(seed, "warm-up")), self._epochs(self.warmup_steps)
        for child in range(self.warmup):
            own, view = keyed_seed(seed, "warm-up", child), self.stage.later(child * epochs)
            module = self._child(params, space.sample(rng), own, epochs)
            try:
                self._train(module, view, self.warmup_steps, cost)
            except FloatingPointError:
                continue  # it diverged and gives nothing back
            give_back(module.network, params)
        seconds = perf_counter() - started
        cost.add(CostMeter(seconds, seconds))
        return WeightBank(params, cost=cost.as_dict())

    def _evaluated(
        self, module: ChildModule, view: View, cost: CostMeter
    ) -> tuple[dict[str, float], dict[str, Tensor]]:
        """Returns a child's validation metrics, and its state after training; none if it diverged.

        What measuring changes is not in the state.
        """
        task = self.run.task
        try:
            trainer = self._train(module, view, self.steps, cost)
        except FloatingPointError:  # a child that diverges is a bad child; the search continues
            return {f"validation_{task.metric}": task.worst, "diverged": 1.0}, {}
        state = {n: t.cpu().clone() for n, t in module.network.state_dict().items()}
        view.trainer = trainer  # on whose device the batches are, trained or not
        with self._forward(module.network, view, trainer) as forward:
            return self._measured(forward, view, trainer.strategy.root_device), state

    def _child(self, params: Params, genotype: Genotype, seed: int, epochs: int) -> ChildModule:
        run = self.run
        network = build_child(run.space, genotype, self.scale, seed)
        inherit(network, params)
        recipe = replace(run.recipe, epochs=epochs)
        return ChildModule(network, self.scale.outputs(), recipe, run.task, seed)

    def _train(self, module: ChildModule, view: View, steps: int, cost: CostMeter) -> L.Trainer:
        """Trains a child for some steps; returns its Trainer.

        Raises: FloatingPointError: it diverged.
        """
        epochs = module.recipe.epochs
        trainer = self.run.make_trainer(epochs, max_steps=steps, limit_val_batches=0)
        if steps == 0:
            return trainer
        try:
            trainer.fit(module, datamodule=view)
        finally:
            cost.add(replace(module.meter, children_trained=1, epochs_trained=epochs))
        return trainer

    @contextmanager
    def _forward(self, network: nn.Module, view: View, trainer: L.Trainer) -> Iterator[Forward]:
        """Yields what runs a child with the wanted statistics, on the Trainer's device."""
        precision, device = trainer.precision_plugin, trainer.strategy.root_device
        network = precision.convert_module(network.to(device))

        def forward(x: Tensor) -> Tensor:
            with precision.val_step_context():
                out: Tensor = network(precision.convert_input(x))
            return out

        norms, is_of_batch = batch_norms(network), self.statistics == "batch"
        with torch.no_grad():
            if self.statistics == "recalibrated":
                loader: Iterable[Any] = view.train_dataloader()
                inputs = (x for x, _ in islice(loader, self.recalibration))
                recalibrated(network, inputs, forward)
            network.train(is_of_batch)
            with still_statistics(norms if is_of_batch else ()):
                yield forward

    def _measured(self, forward: Forward, view: View, device: torch.device) -> dict[str, float]:
        """Returns the metrics of the validation part, and its mean loss."""
        task, loss, number = self.run.task, 0.0, 0
        metrics = {n: m.to(device) for n, m in task.metrics(self.scale.outputs()).items()}
        for x, targets in view.val_dataloader():
            out = forward(x)
            loss += float(task.loss(out, targets)) * len(targets)
            number += len(targets)
            for metric in metrics.values():
                task.update(metric, out, targets)
        figures = {f"validation_{name}": float(m.compute()) for name, m in metrics.items()}
        return {"validation_loss": loss / number, **figures}


def _check_bank(steps: int, warmup: int, statistics: str) -> None:
    if steps == 0 and warmup == 0:
        raise ValueError(
            "evaluation.warmup (0) must be at least 1 where evaluation.steps is 0, or nothing is "
            "trained; use e.g. 32"
        )
    if steps == 0 and statistics == "running":
        raise ValueError(
            "evaluation.statistics (running) are those of a child's own training, and "
            "evaluation.steps is 0; use recalibrated or batch"
        )
