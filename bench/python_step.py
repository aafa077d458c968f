"""What a step costs through Python above the C++ call, on 16 x 7 floats: python3
bench/python_step.py --program build/bench/python_step

The program measures the same steps in C++: next, the copies of sample, output and result, answer
with its look for what is not finite.
Prints nanoseconds, the
least of many runs of a loop. Needs the package tweedie; beside it torch, and diffusers' own step,
where they are.
"""

import argparse
import json
import subprocess
import time

import numpy

import tweedie

SHAPE, STEPS = (16, 7), 50


def least(f, runs):
    best = float("inf")
    for _ in range(runs):
        begin = time.perf_counter_ns()
        n = f()
        best = min(best, (time.perf_counter_ns() - begin) / n)
    return best


def stepped(sampler, output, x):
    times = [float(t) for t in sampler.times]

    def run():
        for t in times:
            sampler.step(output, t, x)
        return len(times)

    return run


def looped(sampler, output):
    def run():
        for ask in sampler.loop(SHAPE):
            ask.out[...] = output
        return sampler.evaluations

    return run


def of_scheduler(scheduler, output, x):
    def run():
        scheduler.set_timesteps(STEPS)
        for t in scheduler.timesteps:
            scheduler.step(output, t, x, return_dict=False)
        return STEPS

    return run


def rows(runs):
    output, x = numpy.zeros(SHAPE, numpy.float32), numpy.ones(SHAPE, numpy.float32)
    for name in ("ddim", "dpmpp_2m"):
        sampler = tweedie.Sampler.from_recipe(f"sampler = '{name}'\nsteps = {STEPS}", "cosine", "v")
        yield f"{name}, Sampler.step, NumPy", least(stepped(sampler, output, x), runs)
        yield f"{name}, loop, NumPy", least(looped(sampler, output), runs)
        try:
            import torch
        except ImportError:
            continue
        a, b = torch.zeros(SHAPE), torch.ones(SHAPE)
        yield f"{name}, Sampler.step, torch", least(stepped(sampler, a, b), runs)
        try:
            import diffusers

            from tweedie.diffusers import TweedieScheduler
        except ImportError:
            continue
        kind = {"ddim": diffusers.DDIMScheduler, "dpmpp_2m": diffusers.DPMSolverMultistepScheduler}[
            name
        ]
        theirs = kind(prediction_type="v_prediction")
        yield f"{name}, TweedieScheduler.step, torch", least(
            of_scheduler(TweedieScheduler(theirs), a, b), runs
        )
        yield f"{name}, {kind.__name__}.step, torch", least(
            of_scheduler(theirs, a, b), max(3, runs // 20)
        )


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--program", help="the same in C++")
    options.add_argument("--runs", type=int, default=2000)
    given = options.parse_args()
    if given.program:
        for name, ns in json.loads(subprocess.check_output([given.program])).items():
            print(f"{name + ', C++':48}{ns:10.0f} ns")
    for name, ns in rows(given.runs):
        print(f"{name:48}{ns:10.0f} ns")


if __name__ == "__main__":
    main()
