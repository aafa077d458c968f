"""A pipeline of diffusers with its own scheduler and with Tweedie's: milliseconds a call, in turns.

    .deps/peers/bin/python bench/python_pipeline.py

The network is the small one of examples/python/diffusers_pipeline.py, whose time is the rest, and
is measured too. The least of many runs, with one thread. Needs tweedie, torch and diffusers.
"""

import argparse
import pathlib
import sys
import time

import diffusers
import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "examples/python"))
from diffusers_pipeline import pictures_of, small_unet  # noqa: E402

from tweedie.diffusers import TweedieScheduler  # noqa: E402


def milliseconds(f):
    begin = time.perf_counter()
    f()
    return (time.perf_counter() - begin) * 1e3


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", type=int, default=20)
    options.add_argument("--steps", type=int, default=50)
    given = options.parse_args()
    torch.set_num_threads(1)
    unet = small_unet()
    x = torch.zeros(4, 1, 16, 16)

    def network_alone():
        with torch.no_grad():
            for t in range(given.steps):
                unet(x, t)

    for name, pipeline in (
        ("DDIMScheduler", diffusers.DDIMPipeline),
        ("DDPMScheduler", diffusers.DDPMPipeline),
        ("DPMSolverMultistepScheduler", diffusers.DDPMPipeline),
    ):
        theirs = getattr(diffusers, name)()
        pipe = pipeline(unet=unet, scheduler=theirs)
        pipe.set_progress_bar_config(disable=True)
        ways = {
            "its own": lambda: pictures_of(pipe, theirs, given.steps),
            "TweedieScheduler": lambda: pictures_of(pipe, ours, given.steps),
            "the network alone": network_alone,
        }
        ours = TweedieScheduler.from_config(theirs)
        least = {
            way: min(times)
            for way, times in zip(
                ways, zip(*[[milliseconds(f) for f in ways.values()] for _ in range(given.runs)])
            )
        }
        print(f"{name}, {given.steps} steps, 4 pictures of 16 x 16:")
        for way, ms in least.items():
            print(f"  {way:20}{ms:8.1f} ms")


if __name__ == "__main__":
    main()
