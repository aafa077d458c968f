"""scheduler_config.json: the samples that diffusers has, by recorded numbers (record_diffusers.py),
without torch.
"""

import json
import pathlib

import numpy
import pytest
from common import MEAN, VARIANCE, gaussian_v, network_of_replay, start_of_replay
from configurations import name_of, split

import tweedie

RECORDED = json.loads(pathlib.Path(__file__).with_name("diffusers.json").read_text())


def sampler_of(case):
    config, steps, _ = case
    config, given = split(config)
    return tweedie.Sampler.from_config(config, steps, **given)


@pytest.mark.parametrize("recorded", RECORDED["cases"], ids=lambda r: name_of(r["case"]))
def test_the_last_sample_is_that_of_diffusers(recorded):
    sampler = sampler_of(recorded["case"])
    assert sampler.times == pytest.approx(recorded["timesteps"], rel=1e-4, abs=1e-2)
    start = start_of_replay(RECORDED["shape"])
    name = recorded["case"][0]["_class_name"]
    if name.startswith(("Euler", "Heun")):  # x is x0 + sigma eps there, and of unit variance here
        sigma = sampler.sigmas[0] / sampler.alphas[0]
        start = (start * recorded["init_noise_sigma"] / (sigma * sigma + 1) ** 0.5).astype(
            numpy.float32
        )
    loop = sampler.loop_from(start)
    for ask in loop:
        ask.out[...] = network_of_replay(ask.x, ask.time)
    last = numpy.array(recorded["last"]).reshape(RECORDED["shape"])
    a = sampler.alphas[-1]  # 1 but where it ends at sigma_min
    there = a if name.startswith(("Euler", "Heun")) else 1
    assert abs(loop.samples / there - last).max() < 5e-5 * abs(last).max()


# The first nine; the others are held to diffusers' numbers by tests/replay.
@pytest.mark.parametrize("name", tweedie.scheduler_classes()[:9])
def test_samples_have_the_moments_of_the_data(name):
    config = {"_class_name": name}
    flow = name == "FlowMatchEulerDiscreteScheduler"
    if not flow:
        config["prediction_type"] = "v_prediction"
    if name in ("DDIMScheduler", "DDPMScheduler"):
        config["clip_sample"] = False
    sampler = tweedie.Sampler.from_config(config, 50 if name == "LCMScheduler" else 200)
    loop = sampler.loop((3000, 4), seed=11)
    for ask in loop:
        v = gaussian_v(ask.x, ask.alpha, ask.sigma)
        # velocity = eps - x0, of x = a x0 + s eps and v = a eps - s x0
        a, s = ask.alpha, ask.sigma
        ask.out[...] = ((s + a) * v + (s - a) * ask.x) / (a * a + s * s) if flow else v
    x = loop.samples
    assert abs(x.mean() - MEAN) < 0.03
    if name == "LCMScheduler":  # to the mean of what x can be, and back: it is no solver
        assert x.var() < 2 * VARIANCE
    else:
        assert abs(x.var() - VARIANCE) < 0.03


def test_a_configuration_of_another_class():
    config = {
        "_class_name": "DDIMScheduler",
        "beta_schedule": "scaled_linear",
        "clip_sample": False,
    }
    with pytest.warns(UserWarning, match="clip_sample"):
        sampler = tweedie.Sampler.from_config(config, 12, class_name="DPMSolverMultistepScheduler")
    assert "DPMSolverMultistepScheduler" in repr(sampler) and sampler.times[0] == 999


def test_trailing_timesteps_are_those_of_numpy():
    # At these NumPy's arange falls just beside a half (diffusers 0.42.1 has the same).
    config = {"_class_name": "EulerDiscreteScheduler", "timestep_spacing": "trailing"}
    times = list(tweedie.Sampler.from_config(config, 48).times)
    assert [t for t in (936, 686, 436, 186) if t in times] == [936, 686, 436, 186]
    with pytest.raises(tweedie.Error, match="another number of steps"):
        tweedie.Sampler.from_config(config, 61)  # arange has 62


def test_usual_values_of_another_class_are_not_taken_over():
    ddim = {
        "_class_name": "DDIMScheduler",
        "timestep_spacing": "leading",
        "clip_sample": True,
        "_use_default_values": ["timestep_spacing", "clip_sample"],
    }
    dpm = tweedie.Sampler.from_config(ddim, 10, class_name="DPMSolverMultistepScheduler")
    assert list(dpm.times[:3]) == [999, 899, 799]
    given = dict(ddim, _use_default_values=["clip_sample"])
    dpm = tweedie.Sampler.from_config(given, 10, class_name="DPMSolverMultistepScheduler")
    assert list(dpm.times[:3]) != [999, 899, 799]


def test_sigmas_between_what_was_asked():
    config = {
        "_class_name": "DPMSolverMultistepScheduler",
        "use_karras_sigmas": True,
        "sigma_min": 0.05,
        "sigma_max": 10.0,
    }
    sampler = tweedie.Sampler.from_config(config, 10)
    rho = sampler.sigmas / sampler.alphas
    assert rho[0] == pytest.approx(10, rel=1e-3) and rho[-2] == pytest.approx(0.05, rel=1e-3)
