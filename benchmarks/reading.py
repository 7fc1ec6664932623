"""Times the reading of 60,000 images, ours and by the `datasets` library alone.

    python benchmarks/reading.py [--images 60000] [--folder outputs/reading]

It makes colour images 32x32 as PNG files in ten class folders, as one .npz and as one parquet
file, then reads each form twice, in a new process each time. Of ours it prints the seconds, the
share of the identity hash, and the most memory; of `datasets` the seconds of `load_dataset` and of
decoding, and what its cache holds on the disk. "First" of `datasets` is with an empty cache; the
operating system's own cache of files is warm throughout.
"""

import argparse
import io
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

CLASSES = 10
FORMS = {"files": "files", "parquet": "table.parquet", "npz": "arrays.npz"}
SPLIT = "train"


def make(folder: Path, number: int) -> None:
    """Writes the images in three forms, once."""
    files, table, arrays = (folder / form for form in FORMS.values())
    if not arrays.exists():
        rng = np.random.default_rng(0)
        coarse = rng.integers(0, 256, (number, 8, 8, 3), dtype=np.uint8)
        images = np.repeat(np.repeat(coarse, 4, axis=1), 4, axis=2)
        images += rng.integers(0, 16, images.shape, dtype=np.uint8)
        labels = np.arange(number) % CLASSES
        encoded = []
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            buffer = io.BytesIO()
            Image.fromarray(image).save(buffer, "PNG")
            encoded.append({"bytes": buffer.getvalue(), "path": f"{index}.png"})
            file = files / f"class_{label}" / f"{index:06}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(buffer.getvalue())
        pq.write_table(pa.table({"image": encoded, "label": labels}), table)
        np.savez(arrays, images=images, labels=labels)


def read_ours(path: Path) -> dict[str, float]:
    """Returns the seconds of reading with everything checked, and the share of the identity."""
    from nas_lightning.data.module import ImageDataModule
    from nas_lightning.data.sources import folder

    start = time.perf_counter()
    data = ImageDataModule(folder, seed=0, path=str(path), num_workers=2)
    data.load()
    data.test_arrays()
    read = time.perf_counter()
    data.identity  # noqa: B018  # a cached property: this computes it
    hashed = time.perf_counter()
    return {"seconds": read - start, "identity_share": (hashed - read) / (read - start)}


def read_datasets(path: Path, cache: Path) -> dict[str, float]:
    """Returns the seconds of `datasets` alone, and the MB that its cache holds."""
    import datasets

    start = time.perf_counter()
    kind = "parquet" if path.is_file() else "imagefolder"
    source = {"data_files": str(path)} if path.is_file() else {"data_dir": str(path)}
    rows = datasets.load_dataset(kind, **source, split=SPLIT, cache_dir=str(cache))
    loaded = time.perf_counter()
    rows = rows.cast_column("image", datasets.Image())
    pixels = np.stack([np.asarray(row["image"]) for row in rows])
    assert pixels.shape[1:] == (32, 32, 3)
    size = sum(file.stat().st_size for file in cache.rglob("*") if file.is_file())
    decoded = time.perf_counter() - loaded
    return {"seconds": loaded - start, "decoding": decoded, "cache_mb": size / 1e6}


def measured(who: str, path: Path, cache: Path) -> dict[str, float]:
    """Returns what one reading in a new process costs."""
    command = [sys.executable, __file__, "--one", who, str(path), str(cache)]
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, float] = json.loads(result.stdout.splitlines()[-1])
    return figures


def main() -> None:
    """Makes the images, reads them and prints a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--folder", type=Path, default=Path("outputs/reading"))
    parser.add_argument("--one", nargs=3, metavar=("WHO", "PATH", "CACHE"))
    options = parser.parse_args()
    if options.one:
        who, path, cache = options.one
        if who == "make":
            make(Path(path), int(cache))
            return
        figures = read_ours(Path(path)) if who == "ours" else read_datasets(Path(path), Path(cache))
        figures["memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        print(json.dumps(figures))
        return
    command = [sys.executable, __file__, "--one", "make", str(options.folder), str(options.images)]
    subprocess.run(command, check=True)  # in a process of its own, whose memory does not count
    forms = {name: options.folder / form for name, form in FORMS.items()}
    for form, path in forms.items():
        for who in ("ours", "datasets"):
            cache = options.folder / f"cache_{form}_{os.getpid()}"
            for turn in ("first", "again"):
                if who == "ours" or form != "npz":  # `datasets` reads no .npz
                    figures = measured(who, path, cache)
                    listed = "  ".join(f"{name} {value:.3f}" for name, value in figures.items())
                    print(f"{form:8} {who:9} {turn:6} {listed}", flush=True)


if __name__ == "__main__":
    main()
