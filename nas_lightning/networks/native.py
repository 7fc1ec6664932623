"""C++ kernels for a CPU: built once by the compiler that is there, and which kernels are used.

The kernels (native.cpp) take pointers, not torch's types, so that they build in ten seconds, need
neither ninja nor Python's headers, and fit every version of torch. Their threads are those of
torch's own OpenMP.
"""

import ctypes
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import torch
from filelock import FileLock
from torch import Tensor

from nas_lightning.core.checks import unknown_name
from nas_lightning.files import cache_folder

__all__ = [
    "GradientCall",
    "MissingKernelsError",
    "Shape",
    "StageCall",
    "build",
    "choose",
    "chosen",
    "compiler",
    "is_built",
    "is_native",
    "is_plain",
    "kernel",
    "library_file",
    "memory_order",
    "restored",
    "takes",
]

KERNELS = ("auto", "plain", "torch", "native")
SOURCE = Path(__file__).with_name("native.cpp")
FLAGS = ("-O3", "-march=native", "-std=c++20", "-fPIC")
MOST_S = 300.0  # of a build
CURE = "install g++ (Debian, Ubuntu: apt install g++; conda: conda install gxx) or clang++"
INT, POINTER, NUMBER = ctypes.c_int64, ctypes.c_void_p, ctypes.c_double
SIZES = ("n", "h", "w", "c", "oh", "ow", "co", "kh", "kw", "stride", "dilation", "threads")
POOL_SIZES = ("n", "h", "w", "c", "oh", "ow", "kernel", "stride", "is_max", "threads")
ARGUMENTS = {
    "stages": (INT, POINTER, NUMBER),
    "gradients": (INT, POINTER, INT, POINTER),
    "wide_gradient": (POINTER,) * 4,
    "moments": (INT, INT, INT, POINTER, NUMBER, INT, POINTER),
    "sum_terms": (INT, INT, INT, INT, POINTER, POINTER, POINTER, INT, POINTER),
    "sum_terms_gradient": (INT, INT, INT, INT, POINTER, POINTER, POINTER, INT, POINTER),
    "pool": (POINTER,) * 4,
}


Kernels = dict[tuple[str, torch.dtype], Callable[..., None]]


class MissingKernelsError(Exception):
    """The kernels are not built and cannot be; the message says why, and the cure."""


class Shape(ctypes.Structure):
    """The sizes of a convolution, as native.cpp reads them."""

    _fields_ = [(name, INT) for name in SIZES]


class Pool(ctypes.Structure):
    """The sizes of a pool, as native.cpp reads them."""

    _fields_ = [(name, INT) for name in POOL_SIZES]


class StageCall(ctypes.Structure):
    """A stage to run, as native.cpp reads it."""

    _fields_ = [
        ("shape", Shape),
        *((name, POINTER) for name in ("x", "before", "wide", "point", "y", "numbers")),
    ]


class GradientCall(ctypes.Structure):
    """A stage's gradients to take, as native.cpp reads them."""

    _fields_ = [
        ("shape", Shape),
        *((name, POINTER) for name in ("grad", "y", "line", "x", "before", "wide", "point")),
        ("adds", INT),
        *((name, POINTER) for name in ("to_x", "out", "to_wide", "to_point")),
    ]


@dataclass
class _Process:
    """What this process computes with, as torch keeps its number of threads."""

    kernels: str = "torch"
    functions: Kernels | None = None


_PROCESS = _Process()


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class PoolGradientCall(ctypes.Structure):
    """A pool's gradient to take, as native.cpp reads it."""

    _fields_ = [
        ("sizes", Pool),
        *((name, POINTER) for name in ("grad", "y", "line", "index", "to_x")),
    ]


def choose(kernels: str, tell: Callable[[str], None] = _tell) -> None:
    """Sets the kernels that networks of this process compute with on a CPU.

    "plain" is torch's own operators one by one, "torch" the fast paths in torch, "native" the
    kernels in C++ too, built where they are not yet. "auto" is "native" where there is a compiler,
    else "torch". `tell` takes a line where a build begins or "auto" cannot be "native".

    Raises: ValueError: there are no such kernels, or "native" cannot be built.
    """
    if kernels not in KERNELS:
        raise ValueError(unknown_name("kernels", kernels, KERNELS))
    if kernels in ("plain", "torch"):
        _PROCESS.kernels = kernels
        return
    try:
        _PROCESS.functions = _PROCESS.functions or _load(build(tell))
        _PROCESS.kernels = "native"
    except MissingKernelsError as error:
        if kernels == "native":
            raise ValueError(
                f"hardware.kernels (native) cannot be built: {error}; or use hardware.kernels=torch"
            ) from error
        _PROCESS.kernels = "torch"
        tell(f"note: search networks compute in torch, without native kernels: {error}")


@contextmanager
def restored() -> Iterator[None]:
    """Keeps the kernels that are chosen inside the block from staying chosen after it."""
    before = _PROCESS.kernels
    try:
        yield
    finally:
        _PROCESS.kernels = before


def memory_order() -> torch.memory_format:
    """Returns the order of images in memory in which this process computes fastest."""
    return torch.contiguous_format if is_plain() else torch.channels_last


def chosen() -> str:
    """Returns the kernels of this process: "plain", "torch" or "native"."""
    return _PROCESS.kernels


def is_native() -> bool:
    """Returns whether this process computes with the kernels in C++."""
    return _PROCESS.kernels == "native"


def is_plain() -> bool:
    """Returns whether this process computes with torch's own operators one by one."""
    return _PROCESS.kernels == "plain"


def compiler() -> list[str]:
    """Returns the command of the C++ compiler, none where there is none.

    It is the environment's CXX, which may have arguments ("ccache g++"), or one of the usual names.
    """
    typed = shlex.split(os.environ.get("CXX", ""))
    commands = [typed] if typed else [["g++"], ["clang++"], ["c++"]]
    return next(([path, *rest] for name, *rest in commands if (path := shutil.which(name))), [])


def is_built() -> bool:
    """Returns whether the kernels of this CPU lie in the user's cache."""
    return library_file().is_file()


def library_file() -> Path:
    """Returns where the kernels built for this CPU, this torch and this source are kept.

    Raises: OSError: the user has no home folder.
    """
    values = (SOURCE.read_text("utf-8"), FLAGS, torch.__version__, platform.machine(), _cpu())
    name = sha256(repr(values).encode()).hexdigest()[:16]
    return cache_folder("kernels") / f"{name}.so"


def build(tell: Callable[[str], None]) -> Path:
    """Returns the file of the kernels, built where it is missing; one process builds at a time.

    Raises: MissingKernelsError: there is no compiler, or it failed.
    """
    try:
        path = library_file()
    except OSError as error:
        raise MissingKernelsError(f"they cannot be kept: {error}") from error
    if path.is_file():
        return path
    program = compiler()
    if not program:
        named = f" (CXX={os.environ['CXX']})" if os.environ.get("CXX") else ""
        raise MissingKernelsError(f"no C++ compiler is found{named}; {CURE}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not path.is_file():
                by = shlex.join(program)
                tell(f"building the native kernels for this CPU, once, with {by} (about 10 s)")
                _compile(program, path)
    except OSError as error:
        raise MissingKernelsError(f"they cannot be kept in {path.parent} ({error})") from error
    return path


def _compile(program: list[str], path: Path) -> None:
    """Compiles and links; OpenMP's functions are left open, for torch's own to fill."""
    threads = ["-fopenmp"] if sys.platform == "linux" else []
    part, whole = path.with_suffix(f".{os.getpid()}.o"), path.with_suffix(f".{os.getpid()}.tmp")
    loose = ["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else []
    commands = (
        [*program, *FLAGS, *threads, "-c", str(SOURCE), "-o", str(part)],
        [*program, "-shared", *loose, str(part), "-o", str(whole)],
    )
    try:
        for command in commands:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=MOST_S)
        whole.replace(path)
    except subprocess.TimeoutExpired as error:
        raise MissingKernelsError(f"{program[0]} took more than {MOST_S:.0f} s") from error
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or "").strip().splitlines() or [f"exit status {error.returncode}"]
        reason = next((line for line in lines if "error" in line), lines[0])
        raise MissingKernelsError(f"{program[0]} failed ({reason}); {CURE}") from error
    finally:
        for file in (part, whole):
            file.unlink(missing_ok=True)


def _load(path: Path) -> Kernels:
    try:
        library = ctypes.CDLL(str(path), mode=os.RTLD_NOW | os.RTLD_LOCAL)
    except OSError as error:
        raise MissingKernelsError(f"{path} cannot be loaded ({error}); delete it") from error
    functions: Kernels = {}
    for name, arguments in ARGUMENTS.items():
        for number, dtype in (("float", torch.float32), ("double", torch.float64)):
            place = INT.in_dll(library, f"{name}_{number}").value
            functions[name, dtype] = ctypes.CFUNCTYPE(None, *arguments)(place)
    return functions


def _cpu() -> str:
    """Returns what tells one CPU from another: the line of its instructions, or its name."""
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return platform.processor()
    heads = ("model name", "flags", "Features", "CPU part")
    lines = info.read_text("utf-8", "replace").splitlines()
    return "\n".join(sorted({line for line in lines if line.startswith(heads)}))


def takes(x: Tensor) -> bool:
    """Returns whether the kernels in C++ are used for images and can take them."""
    return (
        is_native()
        and x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.float64)
        and x.dim() == 4
        and x.numel() > 0
        and not torch.is_autocast_enabled("cpu")
        and type(x) in (Tensor, torch.nn.Parameter)
    )


def kernel(name: str, dtype: torch.dtype) -> Callable[..., None]:
    """Returns a kernel, which takes pointers (`Tensor.data_ptr`) and whole numbers."""
    assert _PROCESS.functions is not None
    return _PROCESS.functions[name, dtype]
