"""Writes diffusers.json: what diffusers itself computes for configurations.py, for tests that have
no torch.

Run by a Python that has the versions of bench/peers/requirements.txt: .deps/peers/bin/python
tests/python/record_diffusers.py
"""

import json
import pathlib
import warnings

import diffusers
import torch
from common import network_of_replay, start_of_replay
from configurations import CONFIGURATIONS, split

SHAPE = (3, 2, 4, 4)


def recorded(case):
    config, steps, arguments = case
    config, given = split(config)
    scheduler = getattr(diffusers, config["_class_name"]).from_config(config)
    scheduler.set_timesteps(steps, **given)
    x = torch.from_numpy(start_of_replay(SHAPE)) * getattr(scheduler, "init_noise_sigma", 1.0)
    scaled = getattr(scheduler, "scale_model_input", lambda x, t: x)  # a flow has none
    for t in scheduler.timesteps:
        output = network_of_replay(scaled(x, t).numpy(), float(t))
        x = scheduler.step(torch.from_numpy(output), t, x, **arguments).prev_sample
    return {
        "timesteps": [float(t) for t in scheduler.timesteps],
        "init_noise_sigma": float(getattr(scheduler, "init_noise_sigma", 1.0)),
        "last": [float(f"{v:.7g}") for v in x.flatten().tolist()],
    }


# The others are held to their numbers by tests/replay.
OF = ("DDIM", "DPMSolverMultistep", "EulerDiscrete", "HeunDiscrete", "UniPCMultistep",
      "FlowMatchEulerDiscrete")  # fmt: skip


def is_deterministic(case):
    config, _, arguments = case
    return (
        config["_class_name"].removesuffix("Scheduler") in OF
        and not arguments
        and "sde" not in config.get("algorithm_type", "")
    )


def main():
    warnings.simplefilter("ignore")
    cases = [{"case": case, **recorded(case)} for case in CONFIGURATIONS if is_deterministic(case)]
    path = pathlib.Path(__file__).with_name("diffusers.json")
    lines = ",\n".join(json.dumps(one) for one in cases)
    made = f"diffusers {diffusers.__version__}, torch {torch.__version__}"
    head = f'{{"made_with": {json.dumps(made)}, "shape": {json.dumps(SHAPE)}, "cases": ['
    path.write_text(f"{head}\n{lines}\n]}}\n")


if __name__ == "__main__":
    main()
