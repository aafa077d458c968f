"""The loops of diffusers' own tests, through TweedieScheduler: the sums and means that they expect.

There are 119 such comparisons; 46 are of the classes that are followed, and stand in
diffusers_suite.json. Each is run by diffusers too, so that the loop here is known to be theirs.
"""

import json
import math
import pathlib
import warnings

import pytest

import tweedie

torch = pytest.importorskip("torch", reason="torch is not installed")
diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed")
from tweedie.diffusers import TweedieScheduler  # noqa: E402

SUITE = json.loads(pathlib.Path(__file__).with_name("diffusers_suite.json").read_text())["cases"]

# What is refused, by what the sentence says of it.
REFUSED = {
    "dpm_multi/DPMSolverMultistepSchedulerTest.test_full_loop_no_noise_thres": "sample_max_value",
}
# Beyond a tolerance of 0.01 that is absolute, of a sum of 388: diffusers' variance is 1 - abar_t /
# abar_s in float32, which has four digits at the last timesteps.
OF_ROUNDED_TABLES = {"ddpm/DDPMSchedulerTest.test_full_loop_with_noise": 6e-5}


def ramp(shape):
    """Their dummy sample: it goes from 0 to 1, fastest from sample to sample."""
    n = math.prod(shape)
    return (torch.arange(n) / n).reshape(*shape[1:], shape[0]).movedim(-1, 0).contiguous()


def model(x, t):
    return x * t / (t + 1) if not torch.is_tensor(t) else x * t.to(x.dtype) / (t.to(x.dtype) + 1)


def run(scheduler, case):
    scheduler.set_timesteps(**(case["set_timesteps"] or {"num_inference_steps": 1000}))
    x = ramp(case["shape"])
    if case["scaled_start"]:
        x = x * scheduler.init_noise_sigma
    times = scheduler.timesteps[-case["steps"] :]
    if case["noised"]:
        n = math.prod(case["shape"])
        flipped = (torch.arange(n - 1, -1, -1) / n).reshape(*case["shape"][1:], case["shape"][0])
        x = scheduler.add_noise(x, flipped.movedim(-1, 0), times[:1])
    generator = torch.Generator().manual_seed(0)
    takes_generator = "generator" in scheduler.step.__code__.co_varnames
    more = {"generator": generator} if takes_generator else {}
    for t in times:
        seen = scheduler.scale_model_input(x, t)
        if case["overwrites"]:  # as some of their tests have it, and no pipeline
            x = seen
        x = scheduler.step(model(seen, t), t, x, **case["step"], **more).prev_sample
    return {"abs_sum": float(x.abs().sum()), "abs_mean": float(x.abs().mean())}


@pytest.mark.parametrize("case", SUITE, ids=lambda case: case["test"])
def test_what_diffusers_own_suite_expects(case):
    warnings.simplefilter("ignore")
    name = case["test"]
    config = {k: float(v) if v in ("inf", "-inf") else v for k, v in case["config"].items()}
    theirs = getattr(diffusers, config["_class_name"]).from_config(config)
    by_theirs = run(theirs, case)
    for stat, value, most in case["expected"]:
        assert abs(by_theirs[stat] - value) < most, "the loop is not that of the test"
    if name in REFUSED:
        with pytest.raises(tweedie.Error, match=REFUSED[name]):
            run(TweedieScheduler.from_config(config), case)
        return
    by_ours = run(TweedieScheduler.from_config(config), case)
    for stat, value, most in case["expected"]:
        most = max(most, OF_ROUNDED_TABLES.get(name, 0) * value)
        assert abs(by_ours[stat] - value) < most


def test_how_many_there_are():
    assert len(SUITE) == 46 and set(REFUSED) | set(OF_ROUNDED_TABLES) <= {c["test"] for c in SUITE}
    assert len(SUITE) - len(REFUSED) - len(OF_ROUNDED_TABLES) == 44
