"""Full training: every child is trained with the final child's own recipe."""

from nas_lightning.evaluation.candidates import Candidates, EvaluationByTraining

__all__ = ["FullTraining"]


class FullTraining(EvaluationByTraining):
    """Trains every child at the final child's size and length (Zoph & Le, 2017, 1611.01578).

    Args:
        run: what to train on and with.
    """

    def __init__(self, run: Candidates) -> None:
        recipe = run.recipe
        batch_size = recipe.batch_size or run.data.batch_size
        stage = run.data.candidate(batch_size=batch_size, cutout=recipe.cutout)
        super().__init__(run, recipe, stage)
