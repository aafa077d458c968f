"""Networks in files, and pipelines of them, whose whole sampling runs in C++."""

from __future__ import annotations

import ctypes
import glob
import importlib.metadata
import importlib.util
import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Callable, Optional, Union

import numpy

from . import _core
from ._core import Error
from ._sampler import (
    Path,
    _arrays,
    _labels,
    _nearest,
    _path,
    _Planned,
    _read,
    _seed,
    _shape,
    _shown,
    _text_of_recipe,
    _whole,
)

_ENGINE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "libtweedie_openvino.so")
_loading = threading.Lock()
_loaded: Optional[ctypes.CDLL] = None


def _load_engine() -> None:
    """Loads OpenVINO, by its package of PyPI if there is the version that this was built with, and
    what calls it.
    """
    global _loaded
    with _loading:
        if _loaded is not None:
            return
        version = _core.openvino_version
        if not version:
            raise Error(
                "a network in a file was asked for; expected a package that was built where "
                "OpenVINO is: `make deps` unpacks it, or CMake's OpenVINO_DIR names it"
            )
        found = _openvino()
        if found is not None and found[0] == version:
            # In this order: what comes later finds the earlier ones by their names.
            for pattern in ("libtbb.so.*", "libopenvino.so.*"):
                for path in sorted(glob.glob(os.path.join(found[1], "libs", pattern)))[:1]:
                    ctypes.CDLL(path)
        try:
            _loaded = ctypes.CDLL(_ENGINE)
        except OSError as e:
            there = f"; that of the package openvino is {found[0]}" if found else ""
            raise Error(
                f"OpenVINO {version}, which runs networks in files, was not found ({e}){there}; "
                f"expected it: pip install openvino=={version}"
            ) from None


def _openvino() -> Optional[tuple[str, str]]:
    """The version of the package openvino and its folder; it is not imported."""
    spec = importlib.util.find_spec("openvino")
    if spec is None or not spec.submodule_search_locations:
        return None
    try:
        version = importlib.metadata.version("openvino")
    except importlib.metadata.PackageNotFoundError:
        return None
    return version, list(spec.submodule_search_locations)[0]


class Network:
    """A network in an ONNX file, run by OpenVINO.

    What its numbers mean is its card, a text of ten lines: net.toml beside net.onnx, or in the
    file (docs/networks_from_files.md).
    """

    def __init__(
        self,
        path: Path,
        *,
        threads: int = 0,
        precision: str = "float32",
        card: Optional[Path] = None,
    ) -> None:
        """Opens `path`. `threads`: of the engine, 0 as many as there are cores. `precision`:
        "float32", "bfloat16" or "float16". `card`: in place of the file's, a text or a file's name
        that ends in .toml.

        Throws `tweedie.Error` if the file is none or has no card, if the two contradict each other,
        if an operator or the precision is not there.
        """
        path = _path(path)
        text, source = None, ""
        if card is not None:
            named = isinstance(card, os.PathLike) or ("=" not in card and card.endswith(".toml"))
            text, source = (_read(card), f"'{os.fspath(card)}'") if named else (card, "the card")
        if not isinstance(precision, str):
            raise Error(f"precision = {precision!r} was given; expected a name such as 'bfloat16'")
        n = _whole("threads", threads, 0, 1024)
        self._opened = (os.path.abspath(path), n, precision, text, source)
        _load_engine()
        self._file = _core.open_network(path, n, precision, text, source)

    @property
    def card(self) -> str:
        """What its numbers mean, as TOML."""
        return self._file.card

    @property
    def predicts(self) -> str:
        return self._file.predicts

    @property
    def schedule(self) -> str:
        """The name of its schedule."""
        return self._file.schedule

    @property
    def shape(self) -> tuple[Optional[int], ...]:
        """Of a sample, channels first; None: any."""
        return tuple(n or None for n in self._file.shape)

    @property
    def classes(self) -> int:
        """How many labels it knows; 0: it takes none."""
        return self._file.count or 0

    @property
    def names(self) -> list[str]:
        """Of its labels, if the card has them."""
        return self._file.names

    @property
    def conditions(self) -> list[str]:
        """What it takes beside labels: names for `conditions=`."""
        return self._file.conditions

    @property
    def engine(self) -> str:
        return self._file.engine

    def pipeline(
        self,
        recipe: Union[Path, Mapping[str, Any]] = "dpmpp_2m",
        steps: Optional[int] = None,
    ) -> Pipeline:
        """A pipeline by the name of a sampler, or by a recipe: its text in TOML or JSON, a dict, a
        file's name, or the name of a shipped one.

        A recipe is taken at its word; the schedule and the prediction that it does not say are the
        card's. By a sampler's name samples are clipped to the card's range, as `tweedie sample`
        does.
        """
        if steps is not None:
            steps = _whole("steps", steps, 1, 1_000_000)
        clips = isinstance(recipe, str) and recipe in _core.samplers()
        return Pipeline(self, _text_of_recipe(recipe), steps, clips)

    def __call__(
        self,
        x: Any,
        t: Any,
        labels: Any = None,
        conditions: Optional[Mapping[str, Any]] = None,
    ) -> numpy.ndarray:
        """The file's own output for float32 samples x at the time t of the card's schedule, one
        for all or one each. Labels as `Sampler.sample` has them.
        """
        try:
            times = numpy.asarray(t, dtype=numpy.float64).reshape(-1).tolist()
        except (TypeError, ValueError):
            raise Error(f"t = {t!r} was given; expected a number, or one for each sample") from None
        return self._file(x, times, _labels(labels), self._given(conditions))

    def _given(self, conditions: Optional[Mapping[str, Any]]) -> list[tuple[str, Any]]:
        given = _arrays(conditions)
        known = [*self.conditions, *self._file.negatives]
        for name, _ in given:
            if name not in known:
                raise Error(f"a condition {_shown(name)} was given; {_nearest(name, known)}")
        for name in self.conditions:
            if name not in dict(given):
                raise Error(
                    f"the condition '{name}' is missing; expected conditions={{'{name}': array}} "
                    "with a row for each sample, or one for all"
                )
        return given

    def _check_branches(self, branches: int) -> None:
        if branches == 1:
            return
        what = f"a recipe with a guidance, which asks the network {branches} times, was given"
        if not self.classes and not self.conditions:
            raise Error(f"{what} for a network without conditions; expected one without a guidance")
        if self.classes and not self._file.has_null:
            raise Error(
                f'{what}, and the card does not say how "no label" is told (labels.null); '
                "expected that, or a recipe without a guidance"
            )
        for name in self._file.without_null:
            raise Error(
                f"{what}, and the card does not say what '{name}' is without "
                f"(conditions.{name}.null); expected that, or a recipe without a guidance"
            )

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, self._opened

    def __repr__(self) -> str:
        return f"<tweedie.Network {os.path.basename(self._opened[0])!r}, {self.predicts}>"


def _again(path: str, threads: int, precision: str, text: Optional[str], source: str) -> Network:
    made = Network(path, threads=threads, precision=precision, card=text)
    made._opened = (path, threads, precision, text, source)
    return made


def _check_progress(progress: Any) -> None:
    if progress is not None and not callable(progress):
        raise Error(f"progress: a {type(progress).__name__} was given; expected what can be called")


class Pipeline(_Planned):
    """A sampler with its network: `Network.pipeline` makes one. It may be shared by threads."""

    def __init__(self, network: Network, recipe: str, steps: Optional[int], clips: bool) -> None:
        self.network = network
        self._definition = (recipe, steps, clips)
        self._plan = _core.plan_of_network(network._file, recipe, steps, clips)
        network._check_branches(self._plan.branches)

    def sample(
        self,
        shape: Union[int, Sequence[int]],
        *,
        labels: Any = None,
        conditions: Optional[Mapping[str, Any]] = None,
        seed: int = 0,
        first_id: int = 0,
        progress: Optional[Callable[[int, int], None]] = None,
    ) -> numpy.ndarray:
        """Samples, float32. `shape`: how many, or the shape of all.

        `labels` are numbers or names of the card, one a sample or one for all. `conditions` are
        float32 arrays by their names, with a row for each sample or one for all. Sample i has the
        noise of `seed` and of the id `first_id + i`. `progress(done, steps)` is called after each
        step; between two evaluations Ctrl+C is heard, and what `progress` throws ends the sampling.
        Other threads of Python run meanwhile.
        """
        _check_progress(progress)
        started = _core.start(
            self._plan,
            self._shape_of(shape),
            _seed(seed),
            _whole("first_id", first_id, 0),
            self._numbers_of(labels),
            self.network._given(conditions),
        )
        return self._run(started, progress)

    def sample_from(
        self,
        x: Any,
        *,
        labels: Any = None,
        conditions: Optional[Mapping[str, Any]] = None,
        seed: int = 0,
        progress: Optional[Callable[[int, int], None]] = None,
    ) -> numpy.ndarray:
        """The same from float32 samples that are at the first level, such as one's own noise, times
        `sigmas[0]`. `seed` is that of noise which the steps draw.
        """
        _check_progress(progress)
        started = _core.start_at(
            self._plan, x, _seed(seed), self._numbers_of(labels), self.network._given(conditions)
        )
        return self._run(started, progress)

    def _run(self, started: _core.Loop, progress: Any) -> numpy.ndarray:
        _core.run(started, self.network._file, progress)
        return started.samples.copy()

    def _shape_of(self, shape: Any) -> list[int]:
        if hasattr(shape, "__iter__"):
            return _shape(shape)
        n = _whole("shape", shape, 1, 1 << 62)
        of_one = self.network.shape
        if None in of_one:
            raise Error(
                f"shape = {n} was given for a network that takes samples of any size, "
                f"{of_one}; expected the shape of all, the number of samples first"
            )
        return [n, *[k for k in of_one if k is not None]]

    def _numbers_of(self, labels: Any) -> Optional[list[int]]:
        names = self.network.names
        given = [labels] if isinstance(labels, str) else labels
        if isinstance(given, (list, tuple)) and any(isinstance(one, str) for one in given):
            for one in given:
                if isinstance(one, str) and one not in names:
                    raise Error(f"the label {_shown(one)} was given; {_nearest(one, names)}")
            given = [names.index(one) if isinstance(one, str) else one for one in given]
        return _labels(given)

    def __reduce__(self) -> tuple[Any, ...]:
        return Pipeline, (self.network, *self._definition)

    def __repr__(self) -> str:
        of = self._definition[0].strip().split("\n")[0]
        return (
            f"<tweedie.Pipeline {of!r} of {os.path.basename(self.network._opened[0])!r}, "
            f"{self.steps} steps>"
        )
