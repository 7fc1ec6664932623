"""An executor whose workers finish in another order than they are given work."""

from nas_lightning.evaluation.executors import Executor, Outcome

__all__ = ["LastFirst"]


class LastFirst(Executor):
    """Finishes what was submitted last first."""

    def __init__(self, evaluation):
        self.evaluation, self.jobs = evaluation, []

    def submit(self, job):
        self.jobs.append(job)

    def next_finished(self):
        job = self.jobs.pop()
        measurements, cost = self.evaluation.evaluate(job.trial, job.seed)
        return Outcome(job.trial.number, measurements, cost.as_dict())

    def close(self):
        self.jobs.clear()
