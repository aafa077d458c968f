"""Tweedie from Python: diffusion samplers, one fused kernel for each evaluation of your network.

>>> import numpy, tweedie
>>> sampler = tweedie.Sampler.from_recipe("sampler = 'dpmpp_2m'\\nsteps = 12", "cosine", "v")
>>> pictures = sampler.sample(lambda x, t, labels: 0.5 * x, (4, 1, 28, 28), seed=7)
>>> pictures.shape, pictures.dtype
((4, 1, 28, 28), dtype('float32'))
"""

from ._core import Error, Question
from ._core import version as __version__
from ._network import Network, Pipeline
from ._sampler import Loop, Sampler, scheduler_classes, shipped_recipes, write_png

__all__ = [
    "Error",
    "Loop",
    "Network",
    "Pipeline",
    "Question",
    "Sampler",
    "__version__",
    "scheduler_classes",
    "shipped_recipes",
    "write_png",
]
