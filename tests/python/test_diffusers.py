"""TweedieScheduler beside diffusers' own: the same timesteps, scales and, step by step, the same
samples.
"""

import pickle
import warnings

import pytest
from configurations import CONFIGURATIONS, name_of, split

import tweedie

torch = pytest.importorskip("torch", reason="torch is not installed")
diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed")
from tweedie.diffusers import TweedieScheduler  # noqa: E402

warnings.simplefilter("ignore")
# Whose loop cannot begin midway there either, or has no add_noise.
FROM_THE_FIRST = ("PNDMScheduler", "IPNDMScheduler", "DDIMInverseScheduler",
                  "DPMSolverMultistepInverseScheduler")  # fmt: skip


def network(x, t):
    return torch.tanh(1.3 * x + 0.2 * torch.sin(0.01 * torch.as_tensor(float(t))))


def pair_of(case):
    config, steps, arguments = case
    config, given = split(config)
    try:
        theirs = getattr(diffusers, config["_class_name"]).from_config(config)
    except ImportError as missing:  # LMS asks for SciPy
        pytest.skip(str(missing))
    ours = TweedieScheduler.from_config(theirs.config)
    for one in (theirs, ours):
        one.set_timesteps(steps, **given)
    return theirs, ours, arguments


def close(a, b, most=2e-5):
    return float((a - b).abs().max()) <= most * float(b.abs().max())


def scaled(scheduler, x, t):
    return scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x


def walk(scheduler, x, timesteps, arguments, seed=0):
    """The samples after each evaluation."""
    generator = torch.Generator().manual_seed(seed)
    if not isinstance(scheduler, TweedieScheduler):
        import inspect

        if "generator" in inspect.signature(scheduler.step).parameters:
            arguments = {**arguments, "generator": generator}
    else:
        arguments = {**arguments, "generator": generator}
    for t in timesteps:
        x = scheduler.step(network(scaled(scheduler, x, t), t), t, x, **arguments).prev_sample
        yield x


@pytest.mark.parametrize("case", CONFIGURATIONS, ids=name_of)
def test_each_step_is_that_of_diffusers(case):
    theirs, ours, arguments = pair_of(case)
    assert ours.timesteps.dtype == theirs.timesteps.dtype and ours.order == theirs.order
    assert torch.allclose(ours.timesteps.double(), theirs.timesteps.double(), rtol=5e-5, atol=2e-3)
    sigma = float(getattr(theirs, "init_noise_sigma", 1.0))
    assert float(ours.init_noise_sigma) == pytest.approx(sigma, rel=1e-5)
    if hasattr(theirs, "sigmas") and "KDPM2" not in case[0]["_class_name"]:
        assert ours.sigmas.shape == theirs.sigmas.shape
        assert torch.allclose(ours.sigmas, theirs.sigmas.float(), rtol=2e-4, atol=1e-6)
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1)) * sigma
    # Of the same timesteps: a network far from linear shows their last digit.
    walked = zip(
        walk(ours, x, ours.timesteps, arguments), walk(theirs, x, theirs.timesteps, arguments)
    )
    for k, (a, b) in enumerate(walked):
        assert close(
            a, b, 1e-4
        ), f"step {k}: {float((a - b).abs().max())} of {float(b.abs().max())}"


@pytest.mark.parametrize("case", CONFIGURATIONS, ids=name_of)
def test_a_loop_that_begins_midway_and_its_noise(case):
    if case[0]["_class_name"] in FROM_THE_FIRST:
        pytest.skip("theirs begins with its first step")
    theirs, ours, arguments = pair_of(case)
    first = len(theirs.timesteps) // 3
    first -= first % theirs.order  # the first evaluation of a step
    clean, noise = torch.randn(2, 2, 3, 4, 4, generator=torch.Generator().manual_seed(5))
    for one in (theirs, ours):
        if hasattr(one, "set_begin_index"):
            one.set_begin_index(first)
    at = theirs.timesteps[first : first + 1].repeat(2)
    noisy = []
    for one in (theirs, ours):
        noised = one.add_noise if hasattr(theirs, "add_noise") else one.scale_noise
        noisy.append(
            noised(clean, noise, at) if hasattr(theirs, "add_noise") else noised(clean, at, noise)
        )
    assert close(noisy[1], noisy[0], 1e-4)
    walked = zip(*(walk(one, noisy[0], one.timesteps[first:], arguments) for one in (ours, theirs)))
    for a, b in walked:
        assert close(a, b, 1e-4)


def test_a_loop_does_not_begin_inside_a_step():
    ours = TweedieScheduler.from_config({"_class_name": "HeunDiscreteScheduler"})
    ours.set_timesteps(10)
    ours.set_begin_index(3)
    x = torch.zeros(1, 2)
    with pytest.raises(
        tweedie.Error, match="a loop from evaluation 3 was asked for, inside of a step"
    ):
        ours.step(x, ours.timesteps[3], x)


def test_generators_of_each_sample():
    case = ({"_class_name": "DDPMScheduler"}, 5, {})
    x, last = torch.randn(2, 1, 4, 4), []
    theirs, ours, _ = pair_of(case)
    for one in (ours, theirs):
        generators = [torch.Generator().manual_seed(k) for k in (3, 4)]
        y = x
        for t in one.timesteps:
            y = one.step(network(y, t), t, y, generator=generators).prev_sample
        last.append(y)
    assert close(*last)


def test_the_result_is_a_tensor_of_its_own_and_of_the_output_s_type():
    ours = TweedieScheduler.from_config({"_class_name": "EulerDiscreteScheduler"})
    ours.set_timesteps(4)
    x = torch.randn(1, 2, 4, 4)
    kept = x.clone()
    a = ours.step(x, ours.timesteps[0], x, return_dict=False)[0]
    assert torch.equal(x, kept) and a.data_ptr() != x.data_ptr() and ours.step_index == 1
    half = ours.step(a.half(), ours.timesteps[1], a.half()).prev_sample
    assert half.dtype == torch.float16


def test_another_scheduler_of_the_same_configuration(tmp_path):
    config = diffusers.DDIMScheduler(beta_schedule="scaled_linear").config
    ours = TweedieScheduler.from_config(config, "DPMSolverMultistepScheduler")
    assert ours.config.beta_schedule == "scaled_linear" and ours.config["_class_name"].startswith(
        "DPM"
    )
    ours.save_pretrained(tmp_path)
    assert (
        diffusers.DPMSolverMultistepScheduler.from_pretrained(tmp_path).config.beta_schedule
        == "scaled_linear"
    )
    again = TweedieScheduler.from_pretrained(tmp_path)
    assert len(again) == 1000 and again.config["_class_name"] == ours.config["_class_name"]


def test_sentences():
    ours = TweedieScheduler.from_config({"_class_name": "DDIMScheduler"})
    x = torch.zeros(1, 2)

    def said(f, *a, **k):
        with pytest.raises(tweedie.Error) as caught:
            f(*a, **k)
        return str(caught.value)

    assert "before set_timesteps(n)" in said(ours.step, x, 3, x)
    ours.set_timesteps(10)
    assert "the timestep 3 was given; expected one of timesteps" in said(ours.step, x, 3, x)
    nan = torch.full((1, 2), float("nan"))
    assert "the network's output is nan at step 0 of 10 (t = 900), in sample 0" in said(
        ours.step, nan, 900, x
    )
    assert "s_churn = 1 was given" in said(ours.step, x, 900, x, s_churn=1)
    assert "model_output: an array of int64" in said(ours.step, x.long(), 900, x)
    euler = TweedieScheduler.from_config({"_class_name": "EulerDiscreteScheduler"})
    euler.set_timesteps(5)
    assert "eta = 0.5 was given for EulerDiscreteScheduler" in said(euler.step, x, 999, x, eta=0.5)


def small_unet():
    torch.manual_seed(0)
    return diffusers.UNet2DModel(
        sample_size=16,
        in_channels=1,
        out_channels=1,
        layers_per_block=1,
        block_out_channels=(16, 32),
        norm_num_groups=8,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    ).eval()


def test_a_pipeline_draws_the_same_pictures():
    unet = small_unet()
    # Of v: a network of epsilon makes 1e-4 of the last digit of its first noise.
    v = {"prediction_type": "v_prediction"}
    for theirs in (diffusers.DDPMScheduler(**v), diffusers.DDIMScheduler(**v)):
        kind = diffusers.DDPMPipeline if "DDPM" in type(theirs).__name__ else diffusers.DDIMPipeline
        pictures = []
        for scheduler in (theirs, TweedieScheduler.from_config(theirs)):
            pipe = kind(unet=unet, scheduler=theirs)
            pipe.scheduler = scheduler
            pipe.set_progress_bar_config(disable=True)
            generator = torch.Generator().manual_seed(4)
            drawn = pipe(
                batch_size=2, generator=generator, num_inference_steps=6, output_type="np"
            ).images
            pictures.append(torch.from_numpy(drawn))
        assert float((pictures[1] - pictures[0]).abs().max()) < 1e-5  # of pixels from 0 to 1


def test_a_pipeline_is_saved_as_that_of_the_scheduler_it_stands_for(tmp_path):
    theirs = diffusers.DDIMScheduler(beta_schedule="squaredcos_cap_v2", clip_sample=False)
    pipe = diffusers.DDIMPipeline(unet=small_unet(), scheduler=theirs)
    pipe.scheduler = TweedieScheduler.from_config(theirs)
    pipe.save_pretrained(tmp_path)
    assert isinstance(pipe.scheduler, TweedieScheduler)
    again = diffusers.DDIMPipeline.from_pretrained(tmp_path)
    assert type(again.scheduler) is diffusers.DDIMScheduler
    assert again.scheduler.config.beta_schedule == "squaredcos_cap_v2"
    drawn = []
    again.scheduler, own = TweedieScheduler.from_config(again.scheduler), again.scheduler
    for one in (pipe, again):
        one.set_progress_bar_config(disable=True)
        generator = torch.Generator().manual_seed(4)
        drawn.append(one(generator=generator, num_inference_steps=3, output_type="np").images)
    assert abs(drawn[0] - drawn[1]).max() < 1e-5
    assert own.config.clip_sample is False


def test_what_makes_no_plan_is_told_with_the_steps():
    config = {"_class_name": "DDIMScheduler", "rescale_betas_zero_snr": True}
    ours = TweedieScheduler.from_config({**config, "timestep_spacing": "trailing"})
    with pytest.raises(tweedie.Error) as caught:
        ours.set_timesteps(10)
    said = str(caught.value)
    assert said.startswith("the configuration of DDIMScheduler in 10 steps makes no plan: step 1")
    assert 'prediction_type = "epsilon" gives no finite x0' in said and "::" not in said


def test_a_class_that_it_does_not_stand_for():
    with pytest.raises(tweedie.Error, match='"UnCLIPScheduler" was given; expected one of: DDIM'):
        TweedieScheduler.from_config({"_class_name": "UnCLIPScheduler"})


def test_what_begins_at_the_first_step_alone():
    ours = TweedieScheduler.from_config({"_class_name": "PNDMScheduler"})
    ours.set_timesteps(10)
    ours.set_begin_index(12)
    with pytest.raises(tweedie.Error, match="expected one from the first step"):
        ours.step(torch.zeros(1, 2), ours.timesteps[12], torch.zeros(1, 2))


def test_what_a_loop_was_begun_with():
    ours = TweedieScheduler.from_config({"_class_name": "DDIMScheduler", "clip_sample": False})
    ours.set_timesteps(4)
    x = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    noise = torch.zeros(2, 3)
    first = ours.step(x, 750, x, eta=0.5, variance_noise=noise).prev_sample
    with pytest.raises(tweedie.Error, match="eta = 0, .* was given after eta = 0.5"):
        ours.step(x, 500, x)
    ours.step(x, 500, x, eta=0.5, variance_noise=noise)
    assert not torch.equal(ours.step(x, 750, x).prev_sample, first)  # begun anew
    assert torch.equal(ours.step(x, 750, x, eta=0.5, variance_noise=noise).prev_sample, first)
    # After a step that failed at the begin another shape may come.
    ours.set_timesteps(4)
    with pytest.raises(tweedie.Error, match="is nan"):
        ours.step(torch.full((2, 3), float("nan")), 750, x)
    assert ours.step(x[:1], 750, x[:1]).prev_sample.shape == (1, 3)
    with pytest.raises(tweedie.Error, match=r"shape \(2, 3\) was given; expected shape \(1, 3\)"):
        ours.step(x, 500, x)
    with pytest.raises(tweedie.Error, match="model_output: a list was given; expected a tensor"):
        ours.step([1.0], 500, x[:1])


def test_tensors_that_are_not_as_they_mostly_are():
    def last(of, of_sample=None):
        ours = TweedieScheduler.from_config({"_class_name": "DPMSolverMultistepScheduler"})
        ours.set_timesteps(6)
        x = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))
        for t in ours.timesteps:
            x = ours.step(of(network(x, t)), t, (of_sample or of)(x)).prev_sample
        return x

    usual = last(lambda a: a)
    same, last_channels = lambda a: a, lambda a: a.to(memory_format=torch.channels_last)
    assert torch.equal(last(last_channels, same), usual)
    assert torch.equal(last(same, last_channels), usual)
    assert torch.equal(last(lambda a: a.clone().requires_grad_()), usual)
    assert torch.equal(last(lambda a: a.transpose(2, 3).contiguous().transpose(2, 3)), usual)
    assert torch.equal(last(lambda a: torch.nn.Parameter(a)), usual)
    assert close(last(lambda a: a.double()).float(), usual)


def test_a_scheduler_pickles_between_loops():
    ours = TweedieScheduler.from_config({"_class_name": "HeunDiscreteScheduler"})
    ours.set_timesteps(10)
    again = pickle.loads(pickle.dumps(ours))
    assert torch.equal(ours.timesteps, again.timesteps) and again.order == 2
    x = torch.zeros(1, 2)
    ours.step(x, ours.timesteps[0], x)
    with pytest.raises(tweedie.Error, match="in the middle of its loop"):
        pickle.dumps(ours)
