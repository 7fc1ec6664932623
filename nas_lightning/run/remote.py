"""What a worker on another machine is sent of a search: its configuration and the user's own code.

The other machine has nas_lightning installed, and the data set where the configuration says; the
run's folder it does not have.
"""

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from omegaconf import OmegaConf

from nas_lightning import __version__
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.evaluation.evaluation import Evaluation
from nas_lightning.run.candidates import built
from nas_lightning.run.folder import CONFIG, HYDRA, RunFolder
from nas_lightning.run.worker_folder import new_folder

__all__ = ["Sent", "own_code"]


@dataclass(frozen=True)
class Sent:
    """A search as its workers on other machines know it.

    Attributes:
        version: of nas_lightning, here and there.
        files: text by name, of the folder of the run's configuration.
        code: text by path, of the modules of the user's own that the search has imported.
    """

    version: str
    files: Mapping[str, str]
    code: Mapping[str, str]

    @classmethod
    def of(cls, home: RunFolder) -> "Sent":
        """Returns the search of a run's folder, which has built everything here."""
        files = {p.name: p.read_text("utf-8") for p in home.hydra.iterdir() if p.suffix != ""}
        files[CONFIG] = OmegaConf.to_yaml(home.config, resolve=True)
        return cls(__version__, files, own_code(home.started_in))

    def build(self, threads: int) -> tuple[SearchSpace, Evaluation, Path]:
        """Returns space, evaluation and the folder of checkpoints, on the other machine.

        Raises: ValueError: another version is installed there, or something cannot be built.
        """
        if self.version != __version__:
            raise ValueError(
                f"a worker has nas_lightning {__version__}, and the search {self.version}; "
                "install the same on all nodes"
            )
        home = RunFolder(new_folder())
        home.hydra.mkdir()
        for name, text in self.files.items():
            (home / HYDRA / name).write_text(text, encoding="utf-8")
        for name, text in self.code.items():
            path = home / "code" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        sys.path.append(str(home / "code"))
        space, evaluation, candidates = built(home, threads)
        shutil.rmtree(home.hydra)
        assert candidates.folder is not None
        return space, evaluation, candidates.folder


def own_code(folder: Path) -> dict[str, str]:
    """Returns text by path of the modules and packages in a folder that were imported."""
    files: list[Path] = []
    for name, module in list(sys.modules.items()):
        file = Path(str(getattr(module, "__file__", None)))
        if "." in name or name in ("__main__", "nas_lightning"):
            continue
        if file == folder / f"{name}.py":
            files.append(file)
        elif file == folder / name / "__init__.py":
            files += (folder / name).rglob("*.py")
    return {str(file.relative_to(folder)): file.read_text("utf-8") for file in files}
