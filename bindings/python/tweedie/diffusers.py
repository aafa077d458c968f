"""A scheduler that a pipeline of diffusers takes in place of its own, to the same numbers.

    pipe.scheduler = tweedie.diffusers.TweedieScheduler.from_config(pipe.scheduler)

It needs torch, and diffusers only where a pipeline does.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional, Union

import torch

from . import _core
from ._core import Error
from ._sampler import Path, _parse_config, _text_of_config, _whole

__all__ = ["SchedulerOutput", "TweedieScheduler"]

_TABLE = (
    "DDIMScheduler",
    "DDIMInverseScheduler",
    "DDPMScheduler",
    "LCMScheduler",
    "TCDScheduler",
    "PNDMScheduler",
)
_INTEGER = (
    *_TABLE,
    "DPMSolverMultistepScheduler",
    "DPMSolverMultistepInverseScheduler",
    "DPMSolverSinglestepScheduler",
    "UniPCMultistepScheduler",
    "DEISMultistepScheduler",
    "SASolverScheduler",
)


_Tensor, _FLOAT32, _address = torch.Tensor, torch.float32, torch.Tensor.data_ptr


class SchedulerOutput(NamedTuple):
    prev_sample: torch.Tensor


class _FrozenConfig(dict):
    """Keys as attributes too, as pipelines read them."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class TweedieScheduler:
    """A scheduler of diffusers by its configuration, whose step is one kernel.

    It follows the classes of `tweedie.scheduler_classes()`; a key that would change numbers and is
    not followed is refused. x is held as the named
    scheduler holds it, so that each `prev_sample` is the same to float32 rounding, and with the
    same generator also where noise is drawn. On the CPU; half precision is computed in float32.
    """

    config_name = "scheduler_config.json"
    _compatibles: list[str] = []

    def __init__(
        self, config: Union[Path, Mapping[str, Any]], class_name: Optional[str] = None
    ) -> None:
        """By a configuration, as `from_config`."""
        if not isinstance(config, (Mapping, str, os.PathLike)) and hasattr(config, "config"):
            config, class_name = config.config, class_name or type(config).__name__
        text, source = _text_of_config(config)
        self._config = _parse_config(text, source, class_name)
        given = dict(config) if isinstance(config, Mapping) else json.loads(text)
        given["_class_name"] = self._config.class_name
        given.setdefault("num_train_timesteps", self._config.num_train_timesteps)
        self.config = _FrozenConfig(given)
        self.__module__ = "diffusers"  # asked with __class__
        self.order = self._config.order
        self._usual_eta = 0.3 if self._config.class_name == "TCDScheduler" else 0.0
        self.num_inference_steps: Optional[int] = None
        self._grid: Optional[_core.SchedulerGrid] = None
        self._alphas_cumprod: Optional[torch.Tensor] = None
        n = self._config.num_train_timesteps
        dtype = torch.int64 if self._config.class_name in _INTEGER else torch.float32
        self.timesteps = torch.arange(n - 1, -1, -1, dtype=dtype)
        self._begin: Optional[int] = None
        self._chosen: Optional[tuple[int, list[float], Optional[float]]] = None
        self._plans: dict[tuple[float, bool, int], _core.Plan] = {}
        self._forget()

    @property
    def __class__(self) -> type:  # type: ignore[override]
        """What a pipeline asks when it is saved: the scheduler that this stands for, so that
        diffusers loads it without Tweedie.
        """
        name = self.__dict__.get("config", {}).get("_class_name", "")
        theirs = getattr(sys.modules.get("diffusers"), name, None)
        return TweedieScheduler if theirs is None else theirs

    @classmethod
    def from_config(
        cls, config: Union[Path, Mapping[str, Any]], class_name: Optional[str] = None
    ) -> TweedieScheduler:
        """By `pipe.scheduler` or its `config`, a dict, the name of a scheduler_config.json or of
        its folder.

        `class_name` makes another scheduler of the same configuration, such as
        "DPMSolverMultistepScheduler".
        """
        return cls(config, class_name)

    @classmethod
    def from_pretrained(
        cls, path: Path, subfolder: Optional[str] = None, **_: Any
    ) -> TweedieScheduler:
        """By a folder on the disk: nothing is downloaded."""
        return cls(os.path.join(os.fspath(path), subfolder) if subfolder else path)

    def save_pretrained(self, folder: Path, **_: Any) -> None:
        """Writes the configuration, under the name of the scheduler that it is of."""
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(os.fspath(folder), self.config_name)
        with open(path + ".part", "w", encoding="utf-8") as file:
            json.dump(self.config, file, indent=2, default=lambda a: a.tolist())
        os.replace(path + ".part", path)

    # ---- the grid

    def set_timesteps(
        self,
        num_inference_steps: Optional[int] = None,
        device: Any = None,
        sigmas: Optional[Sequence[float]] = None,
        mu: Optional[float] = None,
    ) -> None:
        """Chooses the steps. `sigmas` and `mu` are FlowMatchEulerDiscreteScheduler's."""
        given = [float(s) for s in sigmas] if sigmas is not None else []
        n = len(given)
        if num_inference_steps is not None:
            n = _whole("num_inference_steps", num_inference_steps, 1)
        if given and n != len(given):
            raise Error(
                f"num_inference_steps = {n} was given beside {len(given)} sigmas; expected one of "
                "the two"
            )
        chosen = (n, given, mu)
        grid = self._grid
        if grid is None or chosen != self._chosen:
            grid = self._config.grid(n, given, mu)
            # What makes no plan is told before the network is asked, and nothing has changed.
            plan = _core.plan_of_config(self._config, grid, scaled=True, takes_noise=True)
            plans = {(self._usual_eta, False, 0): plan}
            self._grid, self._plans, self._chosen = grid, plans, chosen
        self.num_inference_steps = n
        whole = self._config.class_name in _INTEGER
        self._times = grid.timesteps
        dtype = torch.int64 if whole else torch.float64 if self._is_double() else torch.float32
        self.timesteps = torch.tensor(self._times, dtype=dtype, device=device)
        if not whole:
            self._times = self.timesteps.tolist()  # as a pipeline gives them back
        self._begin = None
        self._forget()

    def _is_double(self) -> bool:
        """Whether diffusers leaves NumPy's type to timesteps that are no whole numbers."""
        converted = any(
            self.config.get(f"use_{kind}_sigmas") for kind in ("karras", "exponential", "beta")
        )
        name = self._config.class_name
        return name.startswith("CMS") or (name.startswith("KDPM2") and converted)

    def __reduce__(self) -> tuple[Any, ...]:
        if self._loop is not None and self.step_index not in (0, len(self._times)):
            raise Error(
                "a scheduler was to be pickled in the middle of its loop; expected it before "
                "or after"
            )
        return _again, (dict(self.config), self._chosen, self._begin)

    def _forget(self) -> None:
        self._loop: Optional[_core.Loop] = None
        self._first = self._at = 0
        self._shape: Optional[torch.Size] = None
        self._takes_noise = False
        self._eta = self._usual_eta
        self._rederives = False

    def _set(self) -> _core.SchedulerGrid:
        if self._grid is None:
            raise Error("a step was asked for before set_timesteps(n); expected it after")
        return self._grid

    @property
    def init_noise_sigma(self) -> float:
        """What a pipeline scales its first noise by."""
        if self._grid is None:
            config = self._config
            if config.has_edm_levels:
                return config.grid(2).init_noise_sigma
            if not config.is_scaled:
                return 1.0
            abar = float(self.alphas_cumprod[-1])
            most = ((1 - abar) / abar) ** 0.5
            leading = self.config.get("timestep_spacing", "linspace") == "leading"
            return (most * most + 1) ** 0.5 if leading else most
        return self._grid.init_noise_sigma

    @property
    def sigmas(self) -> torch.Tensor:
        """sigma / alpha of each evaluation's level, and of a flow sigma; the last is the end."""
        sigmas = self._set().sigmas
        if self.order == 2:  # both evaluations of a step have one, as diffusers lists them
            sigmas = [sigmas[self._level(i)] for i in range(len(self._times))] + sigmas[-1:]
        return torch.tensor(sigmas, dtype=torch.float32)

    @property
    def alphas_cumprod(self) -> torch.Tensor:
        """alpha^2 of each training timestep."""
        if self._alphas_cumprod is None:
            self._alphas_cumprod = (
                torch.tensor(self._config.log_abar, dtype=torch.float64).exp().float()
            )
        return self._alphas_cumprod

    @property
    def begin_index(self) -> Optional[int]:
        return self._begin

    def set_begin_index(self, begin_index: int = 0) -> None:
        """The evaluation that the loop begins with, as img2img does."""
        self._begin = int(begin_index)

    @property
    def step_index(self) -> Optional[int]:
        """The evaluation that comes next; None before the first."""
        return None if self._loop is None else self._first + self._loop.evaluation

    def index_for_timestep(self, timestep: Any) -> int:
        """Of a timestep that is there twice, the second, as diffusers has it."""
        t = float(timestep)
        found = (
            [i for i, one in enumerate(self._times) if one == t] if self._grid is not None else []
        )
        if not found:
            raise Error(
                f"the timestep {t:g} was given; expected one of timesteps, after set_timesteps(n)"
            )
        return found[min(1, len(found) - 1)]

    def _next(self, timestep: Any) -> int:
        """The evaluation that a timestep is for. Begins a loop anew if it is not the next one."""
        times = self._times
        t = float(timestep)
        if self._loop is not None and self._loop.evaluation > 0:
            at = self._first + self._loop.evaluation
            if at < len(times) and times[at] == t:
                return at
            if at < len(times) and t != times[0] and self._begin is None:
                raise Error(
                    f"the timestep {t:g} was given; expected {times[at]:g}, the next, or "
                    f"{times[0]:g} to begin again"
                )
        begin = self._begin
        if begin is None:
            begin = 0 if times[0] == t else self.index_for_timestep(timestep)
        if begin >= len(times) or times[begin] != t:
            raise Error(
                f"the timestep {t:g} was given; expected "
                + (
                    f"{times[begin]:g}, that of the begin index {begin}"
                    if begin < len(times)
                    else "a smaller begin index"
                )
            )
        if self.order == 2 and begin % 2 == 1:
            raise Error(
                f"a loop from evaluation {begin} was asked for, inside of a step; expected the "
                "first of a step"
            )
        self._loop = None
        return begin

    def _level(self, evaluation: int) -> int:
        return (evaluation + 1) // 2 if self.order == 2 else evaluation

    def _sigma_of(self, evaluation: int) -> float:
        grid = self._set()
        if grid.middles and evaluation % 2 == 1:
            return grid.middles[evaluation // 2]
        return grid.sigmas[self._level(evaluation)]

    # ---- the loop

    def scale_model_input(self, sample: torch.Tensor, timestep: Any = None) -> torch.Tensor:
        """What the network sees: x / sqrt(sigma^2 + 1) of the schedulers that hold x0 + sigma eps,
        of EDM's and the consistency models' with sigma_data^2 in place of 1, else x itself.
        """
        if not self._config.is_scaled:
            return sample
        sigma = self._sigma_of(self._next(timestep))
        data = self._config.sigma_data if self._config.has_edm_levels else 1
        return sample / (sigma * sigma + data * data) ** 0.5

    def step(
        self,
        model_output: torch.Tensor,
        timestep: Any,
        sample: torch.Tensor,
        eta: Optional[float] = None,
        use_clipped_model_output: bool = False,
        generator: Any = None,
        variance_noise: Optional[torch.Tensor] = None,
        return_dict: bool = True,
        *,
        s_churn: float = 0.0,
        s_tmin: float = 0.0,
        s_tmax: float = float("inf"),
        s_noise: float = 1.0,
    ) -> Union[SchedulerOutput, tuple[torch.Tensor]]:
        """The sample after the evaluation at `timestep`: one kernel. `eta` is DDIMScheduler's, 0
        if it is not given, and TCDScheduler's, 0.3.

        Noise is drawn by `generator`, one or one a sample, as diffusers draws it. s_churn is
        refused: it is not followed here, and without it s_tmin, s_tmax and s_noise change nothing.
        """
        if s_churn != 0:
            raise Error(f"s_churn = {s_churn} was given; expected 0: another one is not followed")
        t = float(timestep)
        if eta is None:
            eta = self._usual_eta
        if eta != self._eta or (not use_clipped_model_output) is self._rederives:
            self._take(eta, use_clipped_model_output, t)
        loop, at = self._loop, self._at
        if loop is None or at == self._first or at >= len(self._times) or self._times[at] != t:
            _check_tensors(model_output, sample)
            loop, at = self._begin_loop(t, sample)
        shape = self._shape
        # A tensor as it mostly is: by its address, at a third of what asking it for an array costs.
        if (
            type(model_output) is _Tensor
            and type(sample) is _Tensor
            and model_output.dtype is _FLOAT32
            and sample.dtype is _FLOAT32
            and model_output.shape == shape
            and sample.shape == shape
            and model_output.is_cpu
            and sample.is_cpu
            and model_output.is_contiguous()
            and sample.is_contiguous()
            and not self._takes_noise
        ):
            to = torch.empty_like(sample)
            loop.step_at(_address(model_output), _address(sample), _address(to), 0)
        else:
            to = self._step_of_any(loop, model_output, sample, generator, variance_noise)
        self._at = at + 1
        return SchedulerOutput(to) if return_dict else (to,)

    def _step_of_any(
        self,
        loop: _core.Loop,
        model_output: torch.Tensor,
        sample: torch.Tensor,
        generator: Any,
        variance_noise: Optional[torch.Tensor],
    ) -> torch.Tensor:
        _check_tensors(model_output, sample)
        dtype = model_output.dtype
        output, x = _float32(model_output), _float32(sample)
        to = torch.empty(x.shape, dtype=torch.float32)
        noise = None
        if loop.asks_for_noise:
            noise = (
                _float32(variance_noise)
                if variance_noise is not None
                else self._noise(output, generator)
            )
        loop.step(output, x, to, noise)
        return to if dtype is torch.float32 else to.to(dtype)

    def _take(self, eta: float, rederives: bool, t: float) -> None:
        """What a loop is begun with, and may not change in it."""
        asked = float(eta), bool(rederives)
        begins = self._loop is None or self._at in (self._first, len(self._times))
        if not begins and t != self._times[0]:
            raise Error(
                f"eta = {asked[0]:g}, use_clipped_model_output = {asked[1]} was given after "
                f"eta = {self._eta:g}, {self._rederives} in one loop; expected the same"
            )
        self._eta, self._rederives = asked
        self._loop = None

    def _begin_loop(self, t: float, sample: torch.Tensor) -> tuple[_core.Loop, int]:
        grid = self._set()
        at = self._next(t)
        loop = self._loop
        return (loop, at) if loop is not None else (self._start(grid, at, sample), at)

    def _plan_from(self, grid: _core.SchedulerGrid, at: int) -> _core.Plan:
        key = (self._eta, self._rederives, at)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = _core.plan_of_config(
                self._config, grid, self._eta, self._rederives, True, self._level(at), True
            )
        return plan

    def _start(self, grid: _core.SchedulerGrid, at: int, sample: torch.Tensor) -> _core.Loop:
        plan = self._plan_from(grid, at)
        self._loop = _core.start_at(plan, _float32(sample), 0, None)
        self._first = self._at = at
        self._shape, self._takes_noise = sample.shape, plan.takes_noise
        return self._loop

    @staticmethod
    def _noise(like: torch.Tensor, generator: Any) -> torch.Tensor:
        if isinstance(generator, (list, tuple)):
            if len(generator) != like.shape[0]:
                raise Error(
                    f"{len(generator)} generators were given for {like.shape[0]} samples; expected "
                    "one each"
                )
            return torch.cat(
                [torch.randn((1, *like.shape[1:]), generator=one) for one in generator]
            )
        return torch.randn(like.shape, generator=generator)

    def add_noise(
        self, original_samples: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor
    ) -> torch.Tensor:
        """Clean samples at timesteps: alpha x0 + sigma noise, as the named scheduler holds x."""
        x = original_samples
        if self._config.is_flow:
            raise Error(
                f"add_noise was asked of {self._config.class_name}; expected scale_noise"
            )
        if self._config.class_name in _TABLE:
            abar = self.alphas_cumprod.to(x.device)[timesteps.to(x.device).long()]
            alpha, sigma = abar**0.5, (1 - abar) ** 0.5
        else:
            sigma = self._sigmas_at(timesteps).to(x.device)
            alpha = torch.ones_like(sigma)
            if not self._config.is_scaled:
                alpha = 1 / (sigma * sigma + 1) ** 0.5
                sigma = sigma * alpha
        shape = (-1,) + (1,) * (x.dim() - 1)
        return alpha.to(x.dtype).view(shape) * x + sigma.to(x.dtype).view(shape) * noise

    def scale_noise(
        self, sample: torch.Tensor, timestep: torch.Tensor, noise: torch.Tensor
    ) -> torch.Tensor:
        """The same of a flow: (1 - sigma) x0 + sigma noise."""
        if not self._config.is_flow:
            raise Error(f"scale_noise was asked of {self._config.class_name}; expected add_noise")
        sigma = (
            self._sigmas_at(timestep)
            .to(sample.device, sample.dtype)
            .view((-1,) + (1,) * (sample.dim() - 1))
        )
        return sigma * noise + (1.0 - sigma) * sample

    def _sigmas_at(self, timesteps: torch.Tensor) -> torch.Tensor:
        sigmas = self._set().sigmas
        timesteps = timesteps.reshape(-1)
        if self._begin is None:
            levels = [self._level(self.index_for_timestep(t)) for t in timesteps]
        else:
            at = self.step_index
            levels = [self._level(self._begin if at is None else at)] * len(timesteps)
        return torch.tensor([sigmas[i] for i in levels], dtype=torch.float32)

    def __len__(self) -> int:
        return self._config.num_train_timesteps

    def __repr__(self) -> str:
        return f"TweedieScheduler of {json.dumps(self.config, indent=2, default=str)}"


def _again(config: dict[str, Any], chosen: Any, begin: Optional[int]) -> TweedieScheduler:
    made = TweedieScheduler(config)
    if chosen is not None:
        n, sigmas, mu = chosen
        made.set_timesteps(n, sigmas=sigmas or None, mu=mu)
        made._begin = begin
    return made


def _check_tensors(model_output: Any, sample: Any) -> None:
    for name, given in (("model_output", model_output), ("sample", sample)):
        if not isinstance(given, torch.Tensor):
            raise Error(
                f"{name}: a {type(given).__name__} was given; expected a tensor, such as the "
                ".sample of what a network of diffusers returns"
            )


def _float32(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.dtype is not torch.float32:
        if tensor.dtype not in (torch.float16, torch.bfloat16, torch.float64):
            return tensor  # refused by its name
        tensor = tensor.float()
    if tensor.requires_grad:
        tensor = tensor.detach()
    return tensor if tensor.is_contiguous() else tensor.contiguous()
