import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from nas_lightning.core.scale import Scale
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.strategies.random_sharing import RandomSharing
from nas_lightning.training.supernet import SupernetModule


@pytest.mark.filterwarnings("ignore::UserWarning")  # Lightning's advice about workers and intervals
def test_mixtures_take_the_precision_of_the_params(tmp_path):
    """Random sharing has no parameters, from which Lightning could convert its mixtures."""
    space = DartsSpace(nodes=1, ops=("skip_connect", "sep_conv_3x3"), scale=Scale(2, 3))
    module = SupernetModule(space, RandomSharing(space, 0, 1, samples=4), (1, 8, 8), 2)
    loader = DataLoader(TensorDataset(torch.randn(8, 1, 8, 8), torch.arange(8) % 2), batch_size=4)
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    trainer = L.Trainer(
        accelerator="cpu", precision="64-true", max_epochs=1, default_root_dir=tmp_path,
        enable_checkpointing=False, **quiet,
    )  # fmt: skip
    trainer.fit(module, {"train": loader, "val": loader}, loader)
    assert module.derive(list(loader)).space == "darts"
