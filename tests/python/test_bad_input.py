"""One sentence each, of one type, and the loop is where it was."""

import json
import os
import subprocess
import sys

import numpy
import pytest
from common import gaussian

import tweedie

F = numpy.float32


@pytest.fixture(name="sampler")
def _sampler():
    return tweedie.Sampler.from_recipe("sampler = 'ddim'\nsteps = 4", "cosine", "v")


def sentence(f, *arguments, **named):
    with pytest.raises(tweedie.Error) as caught:
        f(*arguments, **named)
    assert isinstance(caught.value, ValueError)
    return str(caught.value)


def test_arrays_that_step_does_not_take(sampler):
    t, x = sampler.times[0], numpy.zeros((4, 3), F)
    said = lambda output, sample=x: sentence(sampler.step, output, t, sample)
    assert said(x.astype("f8")) == "model_output: an array of float64 was given; expected float32"
    assert said(x.astype("i4")) == "model_output: an array of int32 was given; expected float32"
    assert said(x, x.astype("f2")) == "sample: an array of float16 was given; expected float32"
    assert "model_output: an array of shape (4, 2) was given; expected shape (4, 3)" == said(
        x[:, :2].copy()
    )
    assert "not contiguous (shape (4, 3), strides (6, 2)) was given" in said(
        numpy.zeros((4, 6), F)[:, ::2]
    )
    assert "numpy.ascontiguousarray(a)" in said(numpy.zeros((3, 4), F).T)
    assert (
        said(None)
        == "model_output: a NoneType was given; expected a NumPy array, or a tensor that has DLPack"
    )
    assert "model_output: a list was given" in said([[1.0]])
    read_only = x.copy()
    read_only.flags.writeable = False
    assert "an array that is read-only was given; expected one that can be written" in said(
        x, read_only
    )
    assert "shape (0, 3) was given" in said(x, numpy.zeros((0, 3), F))
    assert "shape (4) was given; expected the number of samples" in said(x, numpy.zeros(4, F))


def test_times_that_are_not_next(sampler):
    x, t = numpy.zeros((2, 3), F), sampler.times
    assert (
        sentence(sampler.step, x, 3.5, x)
        == "t = 3.5 was given to step; expected 1000, the next of times"
    )
    sampler.step(x, t[0], x)
    assert sentence(sampler.step, x, t[2], x).endswith(
        "expected 750, the next of times, or 1000 to begin again"
    )
    assert "expected shape (2, 3)" in sentence(sampler.step, x[:1].copy(), t[1], x)


def test_a_number_that_is_none_is_named_and_the_step_can_be_repeated(sampler):
    network = gaussian(sampler)
    bad = [True]

    def broken(x, t, labels=None):
        y = network(x, t)
        if t == sampler.times[2] and bad[0]:
            y[3, 1] = numpy.nan
        return y

    said = sentence(sampler.sample, broken, (5, 3))
    assert said == (
        "the network's output is nan at step 2 of 4 (t = 500), in sample 3, element 1; expected "
        "finite numbers"
    )
    loop = sampler.loop((5, 3), seed=2)
    for _ in range(3):
        ask = next(loop)
        ask.out[...] = broken(ask.x, ask.time)
    sentence(next, loop)
    bad[0] = False
    ask.out[...] = broken(ask.x, ask.time)
    for ask in loop:
        ask.out[...] = broken(ask.x, ask.time)
    assert numpy.array_equal(loop.samples, sampler.sample(network, (5, 3), seed=2))
    x = sampler.loop((2, 3)).samples.copy()
    before = x.copy()
    said = sentence(sampler.step, numpy.full((2, 3), numpy.inf, F), sampler.times[0], x)
    assert "is inf at step 0 of 4" in said and numpy.array_equal(x, before)


def test_an_output_that_nobody_writes(sampler):
    assert "is nan at step 0" in sentence(lambda: [0 for _ in sampler.loop((2, 3))])


def test_a_question_that_was_answered(sampler):
    loop = sampler.loop((2, 3))
    assert "x0 was asked for before the network was" in sentence(lambda: loop.x0)
    first = next(loop)
    assert "is nan at step 0" in sentence(lambda: loop.x0)
    first.out[...] = 0
    next(loop)
    assert "the question of evaluation 0 was used after it was answered" in sentence(
        lambda: first.x
    )
    for ask in loop:
        ask.out[...] = 0
    assert "evaluation 3 was used after" in sentence(lambda: ask.out)
    assert list(loop) == []


def test_what_networks_give(sampler):
    said = lambda network: sentence(sampler.sample, network, (2, 3))
    assert "the network's output: a NoneType was given" in said(lambda x, t, labels: None)
    assert "shape (1, 3) was given; expected shape (2, 3)" in said(
        lambda x, t, labels: x[:1].copy()
    )
    assert "array of float64 was given" in said(lambda x, t, labels: x.astype("f8"))
    assert "network: a int was given" in said(3)


def test_what_a_loop_was_begun_with(sampler):
    x, t = numpy.zeros((2, 3), F), sampler.times
    sampler.step(x, t[0], x, seed=3, labels=[1, 2])
    sampler.step(x, t[1], x)
    sampler.step(x, t[2], x, seed=3, labels=[1, 2])
    said = lambda **more: sentence(sampler.step, x, t[3], x, **more)
    assert (
        said(seed=4)
        == "seed = 4 was given in the middle of a loop that began with 3; expected the same, or "
        "none"
    )
    assert "labels = [2] was given in the middle of a loop that began with [1, 2]" in said(labels=2)
    sampler.step(x, t[3], x)
    sampler.step(x, t[0], x, seed=4)


def test_names_that_move_the_cursor(sampler):
    made = tweedie.Sampler.from_recipe
    assert "the recipe 'a\\x1b[2Jb' was given" in sentence(made, "a\x1b[2Jb")
    assert "schedule 'cos\\nine' was given; expected one of" in sentence(
        made, "sampler = 'ddim'", "cos\nine", "v"
    )
    assert 'the scheduler "DDIM\\u001b" was given' in sentence(
        tweedie.Sampler.from_config, {"_class_name": "DDIM\x1b"}
    )
    for name in ("a\0b", "x" * 100_000, "\x1b[2J"):
        for f in (made, tweedie.Sampler.from_config, sampler.load_state):
            said = sentence(f, name)
            assert len(said) < 1000 and said.isprintable(), said[:1000]
        said = sentence(made, "sampler = 'ddim'", "cosine", name)
        assert len(said) < 1000 and said.isprintable(), said[:1000]


MORE_THAN_THERE_IS = """
import resource, tweedie
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
sampler = tweedie.Sampler.from_recipe("sampler = 'ddim'\\nsteps = 4", "cosine", "v")
try:
    sampler.loop((10**10, 100))
except tweedie.Error as e:
    print(e)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)
"""


def test_more_memory_than_there_is(sampler):
    assert "expected fewer than 2^40 values" in sentence(sampler.loop, (10**6, 10**7))
    # In a process of its own, that may not take what others need.
    done = subprocess.run(
        [sys.executable, "-B", "-c", MORE_THAN_THERE_IS],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    said, megabytes = done.stdout.splitlines()
    assert "for which there is not enough memory; expected fewer samples" in said
    assert int(megabytes) < 500  # it is refused before rows are written


def test_what_makes_no_plan_is_told_in_the_configuration_s_words():
    said = lambda steps, **keys: sentence(tweedie.Sampler.from_config, of(**keys), steps)
    assert said(10, name="DDIM", rescale_betas_zero_snr=True, timestep_spacing="trailing") == (
        "the configuration of DDIMScheduler in 10 steps makes no plan: step 1 of 10, from t = 1000 "
        'to t = 900 (alpha = 0, sigma = 1): prediction_type = "epsilon" gives no finite x0 there; '
        "expected another number of steps, another prediction_type, or a schedule that begins with "
        "less noise"
    )


def test_requests(sampler):
    assert "a shape of (3) was given" in sentence(sampler.loop, (3,))
    assert "a shape of (3, -1) was given" in sentence(sampler.loop, (3, -1))
    assert "2 labels were given for 4 samples" in sentence(sampler.loop, (4, 3), labels=[1, 2])
    assert "seed = -1 was given" in sentence(sampler.loop, (4, 3), seed=-1)
    assert "steps = 0 was given" in sentence(sampler.loop, (4, 3), steps=0)


def test_recipes(tmp_path):
    made = lambda *a: sentence(tweedie.Sampler.from_recipe, *a)
    assert "the recipe 'ddim-51' was given; expected one of" in made("ddim-51")
    assert "a plan without a schedule was asked for" in made("sampler = 'ddim'")
    assert "did you mean heun?" in made("sampler = 'huen'", "cosine", "v")
    assert "schedule 'cosin' was given" in made("sampler = 'ddim'", "cosin", "v")
    assert "No such file" in made(tmp_path / "none.toml")
    assert "recipe" in made("sampler = 'ddim'\nschedule = 'linear'", "cosine", "v")


def test_states(sampler, tmp_path):
    other = tweedie.Sampler.from_recipe("sampler = 'ddim'\nsteps = 5", "cosine", "v")
    other.loop((2, 3)).save_state(tmp_path / "state")
    assert "a state of another plan was given" in sentence(sampler.load_state, tmp_path / "state")
    (tmp_path / "text").write_text("no state")
    assert "text'" in sentence(sampler.load_state, tmp_path / "text")
    assert "cannot read" in sentence(sampler.load_state, tmp_path / "none")


def of(name, **keys):
    return {"_class_name": name + "Scheduler", **keys}


REFUSED = [
    (of("RePaint"), 'the scheduler "RePaintScheduler" was given; expected one of: DDIMScheduler'),
    ({"beta_start": 1}, "the key '_class_name' is missing"),
    (of("DDIM", beta_strt=0.1), 'the key "beta_strt" was given for DDIMScheduler; expected one of'),
    (of("DDIM", beta_strt=0.1), "did you mean beta_start?"),
    (
        of("DDIM", beta_schedule="sigmoid"),
        'beta_schedule = "sigmoid" was given for DDIMScheduler; expected one of',
    ),
    (
        of("DDIM", num_train_timesteps="many"),
        'num_train_timesteps = "many" was given for DDIMScheduler; expected a num',
    ),
    (of("DDIM", num_train_timesteps=1e9), "expected a whole number from 2 to 100000"),
    (
        of("DDIM", clip_sample=1),
        "clip_sample = 1 was given for DDIMScheduler; expected true or false",
    ),
    (of("DDIM", trained_betas=[0.1, 0.2]), "expected a list of num_train_timesteps = 1000 numbers"),
    (of("DDIM", beta_end=1.5), "expected above 0 and below 1"),
    (of("DDIM", thresholding=True, sample_max_value=0.5), "sample_max_value = 0.5 was given"),
    (of("DDIM", steps_offset=200), "steps_offset = 200 was given"),
    (
        of("DDPM", variance_type="fixed_large_log"),
        'variance_type = "fixed_large_log" was given for DDPMScheduler',
    ),
    (of("DPMSolverMultistep", use_flow_sigmas=True), "use_flow_sigmas = true was given"),
    (
        of("DPMSolverMultistep", prediction_type="flow_prediction"),
        'prediction_type = "flow_prediction" was given',
    ),
    (of("EulerDiscrete", timestep_type="continuous"), 'timestep_type = "continuous" was given'),
    (
        of("EulerDiscrete", sigma_min=0.1),
        "sigma_min = 0.1 was given for EulerDiscreteScheduler; expected none without",
    ),
    (of("UniPCMultistep", lower_order_final=False), "lower_order_final = false was given"),
    (
        of("FlowMatchEulerDiscrete", stochastic_sampling=True),
        "stochastic_sampling = true was given",
    ),
    (
        of("FlowMatchEulerDiscrete", use_dynamic_shifting=True),
        "use_dynamic_shifting = true was given",
    ),
    (of("LCM", num_train_timesteps=20), "no original_inference_steps was given for LCMScheduler"),
]


@pytest.mark.parametrize("config, expected", REFUSED)
def test_configurations(config, expected):
    assert expected in sentence(tweedie.Sampler.from_config, config, 10)


def test_files_of_configurations(tmp_path):
    path = tmp_path / "scheduler_config.json"
    made = lambda text: (path.write_text(text), sentence(tweedie.Sampler.from_config, path, 10))[1]
    assert str(path) in made("{")
    assert "[] was given; expected a table of keys and values" in made("[]")
    assert "is given twice" in made(
        '{"_class_name": "DDIMScheduler", "beta_start": 0.1, "beta_start": 0.2}'
    )
    assert "No such file" in sentence(tweedie.Sampler.from_config, tmp_path / "other.json")
    assert made("{" * 100000) and made("[" * 100000)
    path.write_text(json.dumps(of("DDIM", num_train_timesteps=1000)))
    assert tweedie.Sampler.from_config(path, 10).steps == 10
    assert tweedie.Sampler.from_config(tmp_path, 10).steps == 10
    assert "1001 steps were given" in sentence(tweedie.Sampler.from_config, path, 1001)


def test_keys_of_other_schedulers_are_told():
    with pytest.warns(UserWarning, match="DDIMScheduler has no skip_prk_steps"):
        tweedie.Sampler.from_config(of("DDIM", skip_prk_steps=True), 10)


def test_what_only_some_take():
    made = lambda *a, **k: sentence(tweedie.Sampler.from_config, *a, **k)
    assert "eta = 0.5 was given for EulerDiscreteScheduler" in made(
        of("EulerDiscrete"), 10, eta=0.5
    )
    assert "sigmas was given for DDIMScheduler" in made(of("DDIM"), 10, sigmas=[1, 0.5])
    assert "mu was given for DDIMScheduler" in made(of("DDIM"), 10, mu=1.0)
    assert "eta = 2 was given" in made(of("DDIM"), 10, eta=2.0)
