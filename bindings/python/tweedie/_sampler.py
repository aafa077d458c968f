"""Samplers and their loops, over plans in C++."""

from __future__ import annotations

import json
import operator
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Callable, Optional, Union

import numpy

from . import _core
from ._core import Error, Question

Network = Callable[[numpy.ndarray, float, numpy.ndarray], Any]
Path = Union[str, "os.PathLike[str]"]


def shipped_recipes() -> dict[str, str]:
    """The recipes that come with the library: their texts by their names."""
    return dict(_core.shipped_recipes())


def scheduler_classes() -> list[str]:
    """The schedulers of diffusers whose configurations are followed."""
    return list(_core.scheduler_classes())


def _shown(given: Any) -> str:
    """As sentences show it: in quotes, of 100 characters at most, none that moves a cursor."""
    text = repr(given)
    return text if len(text) <= 100 else text[:100] + "..."


def _path(path: Any) -> str:
    """A file's name, none that a sentence cannot show."""
    try:
        name = os.fsdecode(path)
    except TypeError:
        raise Error(f"a {type(path).__name__} was given; expected the name of a file") from None
    if len(name) > 4096 or not name.isprintable():
        raise Error(
            f"the file {_shown(name)} was given; expected a name of 4096 letters at most, none "
            "that cannot be printed"
        )
    return name


def _name(what: str, given: Optional[str], there: list[str]) -> Optional[str]:
    if given is not None and given not in there:
        raise Error(f"{what} {_shown(given)} was given; {_nearest(given, there)}")
    return given


def _nearest(given: Any, there: list[str]) -> str:
    return _core.nearest(given if isinstance(given, str) and len(given) < 100 else "", there)


def _text_of_recipe(recipe: Union[Path, Mapping[str, Any]]) -> str:
    if isinstance(recipe, Mapping):
        return _json_of(recipe, "a recipe")
    if isinstance(recipe, os.PathLike) or recipe.endswith((".toml", ".json")):
        return _read(recipe)
    if "=" in recipe or "{" in recipe:
        return recipe
    there = shipped_recipes()
    if recipe in there:
        return there[recipe]
    if recipe in _core.samplers():
        return f'sampler = "{recipe}"'
    raise Error(
        f"the recipe {_shown(recipe)} was given; {_nearest(recipe, [*there, *_core.samplers()])}; "
        "or a text with 'sampler = ...', or a file's name that ends in .toml or .json"
    )


def _json_of(given: Mapping[str, Any], what: str) -> str:
    def plain(value: Any) -> Any:
        if hasattr(value, "tolist"):  # arrays and numbers of NumPy and torch
            return value.tolist()
        raise Error(
            f"{what}: a {type(value).__name__} was given; expected numbers, texts and lists"
        )

    return json.dumps(dict(given), default=plain)


def _read(path: Path) -> str:
    name = _path(path)
    try:
        with open(name, encoding="utf-8") as file:
            return file.read(1 << 21)
    except OSError as e:
        raise Error(f"'{name}': {e.strerror}; expected a text that can be read") from None
    except UnicodeDecodeError as e:
        raise Error(f"'{name}': {e}; expected a text that can be read") from None


def _text_of_config(config: Union[Path, Mapping[str, Any]]) -> tuple[str, str]:
    """The text of a configuration, and what sentences call it."""
    if isinstance(config, Mapping):
        return _json_of(config, "a scheduler's configuration"), "the configuration"
    path = _path(config)
    if os.path.isdir(path):
        path = os.path.join(path, "scheduler_config.json")
    return _read(path), f"'{path}'"


def _parse_config(text: str, source: str, class_name: Optional[str]) -> _core.SchedulerConfig:
    """Parses a configuration, and says which keys its scheduler does not have."""
    parsed = _core.parse_scheduler_config(text, source, class_name or "")
    if parsed.unread:
        warnings.warn(
            f"{source}: {parsed.class_name} has no {', '.join(parsed.unread)}: left aside, as "
            "diffusers does",
            stacklevel=4,
        )
    return parsed


def _whole(name: str, value: Any, least: int, most: int = (1 << 64) - 1) -> int:
    """A whole number, whatever type holds it. A float or a truth value is none."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise Error(f"{name} = {value!r} was given; expected a whole number") from None
    if not least <= number <= most:
        raise Error(f"{name} = {number} was given; expected {least} to {most}")
    return number


def _seed(seed: Any) -> int:
    return _whole("seed", seed, 0)


def _shape(shape: Any) -> list[int]:
    if isinstance(shape, str) or not hasattr(shape, "__iter__"):
        raise Error(f"shape = {shape!r} was given; expected numbers such as (4, 3, 32, 32)")
    return [_whole("an extent of shape", n, -(1 << 62), 1 << 62) for n in shape]


def _labels(labels: Any) -> Optional[list[int]]:
    if labels is None:
        return None
    if isinstance(labels, str):
        raise Error(f"labels = {labels!r} was given; expected whole numbers")
    several = getattr(labels, "ndim", 1) > 0 and hasattr(labels, "__iter__")
    return [_whole("a label", one, -1, (1 << 31) - 1) for one in (labels if several else [labels])]


def _arrays(conditions: Any) -> list[tuple[str, Any]]:
    """Conditions that are no labels, by their names."""
    if conditions is None:
        return []
    if not isinstance(conditions, Mapping) or not all(isinstance(k, str) for k in conditions):
        raise Error(
            f"conditions: a {type(conditions).__name__} was given; expected a dict of arrays by "
            "their names, such as {'text': array}"
        )
    return list(conditions.items())


def write_png(path: Path, pictures: Any, *, columns: int = 0) -> None:
    """Pictures as one PNG, beside each other: float32 of (pictures, 1 or 3 channels, height, width)
    or (pictures, height, width), where -1 is black and 1 is white. `columns` 0: as square as
    possible. The file is there whole or not at all.
    """
    _core.write_png(_path(path), pictures, _whole("columns", columns, 0, 1 << 20))


class Loop:
    """The loop over a sampler's steps, which its caller drives: `for ask in loop`.

    `ask` holds what the network is asked; fill `ask.out` before the next turn. Between two steps a
    loop can be saved
    and pickled.
    """

    __slots__ = ("_loop", "_check", "sampler")

    def __init__(self, sampler: Sampler, loop: _core.Loop, check: bool = True) -> None:
        self.sampler = sampler
        self._loop = loop
        self._check = check

    def __iter__(self) -> Iterator[Question]:
        return self

    def __next__(self) -> Question:
        ask = self._loop.next(self._check)
        if ask is None:
            raise StopIteration
        return ask

    def answer(self) -> None:
        """Takes the output at once, for a loop that is left before its next turn: `save_state`."""
        self._loop.answer(self._check)

    @property
    def samples(self) -> numpy.ndarray:
        """The samples as they are now: a view of the loop's own memory, which the next evaluation
        changes.
        """
        return self._loop.samples

    @property
    def x0(self) -> numpy.ndarray:
        """A preview: x0 as the sampler is about to see it, through guidance and threshold.

        After `ask.out` is filled and before the next turn or `answer`. One kernel more; the samples
        get the same bits. The array is the caller's.
        """
        return self._loop.x0

    @property
    def step(self) -> int:
        """Steps that are done."""
        return self._loop.step_index

    @property
    def is_finished(self) -> bool:
        return self._loop.is_finished

    def save_state(self, path: Path) -> None:
        """Writes what `Sampler.load_state` goes on from: safetensors, beside the target and then
        renamed.
        """
        self._loop.save(_path(path))

    def __reduce__(self) -> tuple[Any, ...]:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "state")
            self.save_state(path)
            with open(path, "rb") as file:
                return _loop_again, (self.sampler, file.read(), self._check)


def _loop_again(sampler: Sampler, state: bytes, check: bool) -> Loop:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "state")
        with open(path, "wb") as file:
            file.write(state)
        return sampler.load_state(path, check=check)


class _Planned:
    """What a sampler and a pipeline have in common: a plan for each number of steps."""

    _plan: _core.Plan

    @property
    def steps(self) -> int:
        return self._plan.steps

    @property
    def evaluations(self) -> int:
        """How often the network is called."""
        return self._plan.evaluations

    @property
    def is_deterministic(self) -> bool:
        """Whether no noise is drawn after the start."""
        return self._plan.is_deterministic

    @property
    def branches(self) -> int:
        """How often a guidance asks the network in one evaluation."""
        return self._plan.branches

    @property
    def times(self) -> numpy.ndarray:
        """What the network is told at each evaluation."""
        return numpy.array(self._plan.times)

    @property
    def alphas(self) -> numpy.ndarray:
        """Of each level, from noisy to clean: x = alpha x0 + sigma eps."""
        return numpy.array(self._plan.alphas)

    @property
    def sigmas(self) -> numpy.ndarray:
        return numpy.array(self._plan.sigmas)

    def explain(self) -> str:
        """What became of the formulas: kernels, and what each reads and writes."""
        return self._plan.explain()


class Sampler(_Planned):
    """A pipeline without its network: `from_recipe` or `from_config` makes one.

    It may be shared by threads, but for `step`, which remembers a loop.
    """

    def __init__(self, definition: Mapping[str, Any]) -> None:
        """Of what `definition` says: use `from_recipe` or `from_config`."""
        self._definition = dict(definition)
        self._plans: dict[Optional[int], _core.Plan] = {}
        self._stepped: Optional[_core.Loop] = None
        self._told: tuple[int, Optional[list[int]]] = (0, None)
        if "config" in self._definition:
            d = self._definition
            self._config = _parse_config(d["config"], d["source"], d["class_name"])
        self._plan = self._plan_of(None)

    @staticmethod
    def from_recipe(
        recipe: Union[Path, Mapping[str, Any]],
        schedule: Optional[str] = None,
        prediction: Optional[str] = None,
        steps: Optional[int] = None,
    ) -> Sampler:
        """A sampler by a recipe: its text in TOML or JSON, a dict, a file's name, or the name of a
        shipped one.

        `schedule` and `prediction` are names such as "cosine" and "v", exactly if the recipe has
        none.
        """
        text = _text_of_recipe(recipe)
        _name("schedule", schedule, _core.schedules())
        _name("prediction", prediction, _core.predictions())
        return Sampler(
            {"recipe": text, "schedule": schedule, "prediction": prediction, "steps": steps}
        )

    @staticmethod
    def from_config(
        config: Union[Path, Mapping[str, Any]],
        steps: int = 50,
        class_name: Optional[str] = None,
        eta: Optional[float] = None,
        sigmas: Optional[Sequence[float]] = None,
        mu: Optional[float] = None,
    ) -> Sampler:
        """A sampler by a `scheduler_config.json` of diffusers: a dict, the file's name or its
        folder.

        The network is told diffusers' timesteps, and sees what its `scale_model_input` gives.
        `class_name` stands in
        place of the configuration's own. A key that would change numbers and is not followed is
        refused.
        """
        text, source = _text_of_config(config)
        return Sampler(
            {
                "config": text,
                "source": source,
                "class_name": class_name,
                "steps": steps,
                "eta": eta,
                "sigmas": [float(s) for s in sigmas] if sigmas is not None else [],
                "mu": mu,
            }
        )

    def _plan_of(self, steps: Optional[int]) -> _core.Plan:
        plan = self._plans.get(steps)
        if plan is not None:
            return plan
        d = self._definition
        n = d["steps"] if steps is None else steps
        if "recipe" in d:
            plan = _core.plan_of_recipe(d["recipe"], d["schedule"], d["prediction"], n)
        else:
            if d["sigmas"] and steps is not None:
                raise Error(
                    f"steps = {steps} was given for a sampler with sigmas of its own; expected none"
                )
            grid = self._config.grid(n, d["sigmas"], d["mu"])
            plan = _core.plan_of_config(self._config, grid, d["eta"])
        self._plans[steps] = plan
        return plan

    def loop(
        self,
        shape: Sequence[int],
        *,
        steps: Optional[int] = None,
        seed: int = 0,
        labels: Any = None,
        first_id: int = 0,
        check: bool = True,
    ) -> Loop:
        """A loop from noise that the caller drives. `shape` begins with the number of samples.

        Sample i has the noise of `seed` and of the id `first_id + i`. `check`: the network's
        outputs are looked through
        for what is no number.
        """
        started = _core.start(
            self._plan_of(steps),
            _shape(shape),
            _seed(seed),
            _whole("first_id", first_id, 0),
            _labels(labels),
        )
        return Loop(self, started, check)

    def loop_from(
        self,
        sample: Any,
        *,
        steps: Optional[int] = None,
        seed: int = 0,
        labels: Any = None,
        check: bool = True,
    ) -> Loop:
        """The same from samples that are at the first level: one's own noise, scaled as x there."""
        return Loop(
            self, _core.start_at(self._plan_of(steps), sample, _seed(seed), _labels(labels)), check
        )

    def load_state(self, path: Path, *, steps: Optional[int] = None, check: bool = True) -> Loop:
        """Goes on with a loop of `Loop.save_state`, to the same bits."""
        return Loop(self, _core.load(self._plan_of(steps), _path(path)), check)

    def sample(
        self,
        network: Network,
        shape: Sequence[int],
        *,
        steps: Optional[int] = None,
        seed: int = 0,
        labels: Any = None,
        first_id: int = 0,
        progress: Optional[Callable[[int, int], None]] = None,
        conditions: Optional[Mapping[str, Any]] = None,
    ) -> numpy.ndarray:
        """Samples of `network(x, t, labels)`, float32 of the given shape.

        x is a view of the noisy samples, labels are int32, one a sample, -1 for none. With a
        guidance the network is called once for each branch. It returns a float32 array or tensor of
        x's shape. A `tweedie.Network` is called in C++, and `conditions` are for such a one.
        """
        file = getattr(network, "_file", None)
        if isinstance(file, _core.NetworkFile):
            plan = self._plan_of(steps)
            network._check_branches(plan.branches)  # type: ignore[attr-defined]
            given = network._given(conditions)  # type: ignore[attr-defined]
            started = _core.start(
                plan,
                _shape(shape),
                _seed(seed),
                _whole("first_id", first_id, 0),
                _labels(labels),
                given,
            )
            _core.run(started, file, progress)
            return started.samples.copy()
        if conditions is not None:
            raise Error(
                "conditions were given for a network in Python; expected them in it: a "
                "tweedie.Network is told"
            )
        if not callable(network):
            raise Error(
                f"network: a {type(network).__name__} was given; expected what can be called"
            )
        loop = self.loop(shape, steps=steps, seed=seed, labels=labels, first_id=first_id)
        plan = self._plan_of(steps)
        total, branches, done = plan.steps, plan.branches, 0
        for ask in loop:
            if progress is not None and ask.step > done:
                done = ask.step
                progress(done, total)
            x, time, of = ask.x, ask.time, ask.labels
            if branches == 1:
                ask.write(network(x, time, of))
            else:
                for k in range(branches):
                    ask.write(network(x, time, of[k]), k)
        if progress is not None:
            progress(total, total)
        return loop.samples.copy()

    def step(
        self,
        model_output: Any,
        t: float,
        sample: Any,
        *,
        seed: Optional[int] = None,
        labels: Any = None,
    ) -> Any:
        """One evaluation, as a scheduler of diffusers has it; the result is written into `sample`,
        and returned.

        `t` is the time that the network was told, which has to be the next of `times`; the first
        begins a loop, and is told the seed (0 without) and the labels. With a guidance
        `model_output` has its branches in front, the conditioned one first.
        """
        loop, times = self._stepped, self._times
        if loop is None or loop.is_finished or loop.evaluation == 0 or times[loop.evaluation] != t:
            if t != times[0]:
                at = 0 if loop is None or loop.is_finished else loop.evaluation
                raise Error(
                    f"t = {float(t):g} was given to step; expected {times[at]:g}, the next of times"
                    + ("" if at == 0 else f", or {times[0]:g} to begin again")
                )
            of = _seed(0 if seed is None else seed), _labels(labels)
            loop = self._stepped = _core.start_at(self._plan, sample, *of)
            self._told = of
        elif seed is not None or labels is not None:
            self._check_told(seed, labels)
        loop.step(model_output, sample, sample)
        return sample

    def _check_told(self, seed: Any, labels: Any) -> None:
        """Inside of a loop the seed and the labels are those of its begin."""
        for name, given, told in (
            ("seed", None if seed is None else _seed(seed), self._told[0]),
            ("labels", _labels(labels), self._told[1]),
        ):
            if given is not None and given != told:
                raise Error(
                    f"{name} = {given} was given in the middle of a loop that began with {told}; "
                    "expected the same, or none"
                )

    @property
    def _times(self) -> list[float]:
        times = self.__dict__.get("_listed")
        if times is None:
            times = self.__dict__["_listed"] = self._plan.times
        return times

    def __reduce__(self) -> tuple[Any, ...]:
        return Sampler, (self._definition,)

    def __repr__(self) -> str:
        d = self._definition
        of = d["recipe"].strip().split("\n")[0] if "recipe" in d else self._config.class_name
        return f"<tweedie.Sampler {of!r}, {self.steps} steps, {self.evaluations} evaluations>"
