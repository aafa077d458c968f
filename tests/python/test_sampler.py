"""Recipes, loops, steps, states: what they give, on a distribution whose network is exact."""

import pickle
import threading

import numpy
import pytest
from common import MEAN, VARIANCE, gaussian

import tweedie

RECIPE = "sampler = 'dpmpp_2m'\nsteps = 20"


@pytest.fixture(name="sampler")
def _sampler():
    return tweedie.Sampler.from_recipe(RECIPE, "cosine", "v")


def test_samples_have_the_moments_of_the_data(sampler):
    x = sampler.sample(gaussian(sampler), (4000, 3), seed=7)
    assert x.dtype == numpy.float32 and x.shape == (4000, 3) and x.flags.c_contiguous
    assert abs(x.mean() - MEAN) < 0.02 and abs(x.var() - VARIANCE) < 0.03


def test_a_loop_by_hand_gives_the_same_bits(sampler):
    network = gaussian(sampler)
    loop, times = sampler.loop((5, 1, 3, 5), seed=7), []
    for ask in loop:
        assert ask.x.shape == ask.out.shape == (5, 1, 3, 5) and list(ask.labels) == [-1] * 5
        ask.out[...] = network(ask.x, ask.time)
        times.append(ask.time)
    assert times == list(sampler.times) and loop.is_finished and loop.step == 20
    assert numpy.array_equal(loop.samples, sampler.sample(network, (5, 1, 3, 5), seed=7))


def test_what_is_asked_are_views_and_no_copies(sampler):
    loop = sampler.loop((4, 5), seed=1)
    ask = next(loop)
    ask.x[2, 3] = 17
    assert ask.x[2, 3] == 17 and loop.samples[2, 3] == 17
    x, out = ask.x, ask.out
    assert x.strides == (32, 4)  # rows have a pitch
    out[...] = 0
    again = next(loop)
    assert numpy.shares_memory(x, again.x) and numpy.shares_memory(out, again.out)


def test_a_preview_is_x0_and_changes_nothing(sampler):
    network = gaussian(sampler)
    loop, seen = sampler.loop((5, 2, 3), seed=7), []
    for ask in loop:
        ask.out[...] = network(ask.x, ask.time)
        a, s = ask.alpha, ask.sigma
        exact = MEAN + a * VARIANCE * (ask.x - a * MEAN) / (a * a * VARIANCE + s * s)
        x0 = loop.x0
        assert x0.shape == (5, 2, 3) and x0.dtype == numpy.float32
        assert abs(x0 - exact).max() < 2e-6
        seen.append((x0, x0.copy()))
    assert numpy.array_equal(loop.samples, sampler.sample(network, (5, 2, 3), seed=7))
    assert all(numpy.array_equal(a, b) for a, b in seen)  # each is the caller's own
    assert numpy.array_equal(seen[-1][0], loop.samples)  # the last step ends at x0


def test_a_preview_goes_through_guidance_and_threshold():
    recipe = {
        "sampler": "heun",
        "steps": 4,
        "guidance": {"name": "classifier_free", "w": 1.5},
        "threshold": "clip",
    }
    sampler = tweedie.Sampler.from_recipe(recipe, "cosine", "x0")
    loop = sampler.loop((3, 5), seed=1)
    for ask in loop:
        ask.out[0], ask.out[1] = 0.5, 0.4
        assert abs(loop.x0 - 0.65).max() < 1e-6
        ask.out[0] = 0.9
        assert (loop.x0 == 1).all()
    assert "A preview of x0 is 1 kernel more." in sampler.explain()


def test_a_view_outlives_its_loop(sampler):
    x = next(sampler.loop((64, 4096), seed=1)).x
    assert numpy.isfinite(x.sum())


def test_step_gives_the_bits_of_the_loop(sampler):
    network = gaussian(sampler)
    x = next(sampler.loop((6, 7), seed=3)).x.copy()
    for _ in range(2):  # the first time begins anew
        y = x.copy()
        for t in sampler.times:
            assert sampler.step(network(y, t), t, y) is y
        assert numpy.array_equal(y, sampler.sample(network, (6, 7), seed=3))


def test_step_takes_a_sample_that_was_changed(sampler):
    network, x = gaussian(sampler), numpy.ones((2, 3), numpy.float32)
    y, times = x.copy(), sampler.times
    sampler.step(network(y, times[0]), times[0], y)
    y[...] = 0.25
    sampler.step(network(y, times[1]), times[1], y)
    z = numpy.full((2, 3), 0.25, numpy.float32)
    assert abs(y - z).max() < 0.2  # from 0.25, not from where it was


def test_noise_is_a_function_of_seed_and_id():
    sampler = tweedie.Sampler.from_recipe("sampler = 'ancestral'\nsteps = 10", "cosine", "v")
    network = gaussian(sampler)
    whole = sampler.sample(network, (6, 5), seed=3)
    parts = [sampler.sample(network, (3, 5), seed=3, first_id=i) for i in (0, 3)]
    assert numpy.array_equal(whole, numpy.concatenate(parts))
    assert not numpy.array_equal(whole, sampler.sample(network, (6, 5), seed=4))


def test_guidance_asks_for_each_branch():
    text = {"sampler": "ddim", "steps": 9, "guidance": {"name": "classifier_free", "w": 1.5}}
    guided = tweedie.Sampler.from_recipe(text, "cosine", "v")
    plain = tweedie.Sampler.from_recipe({"sampler": "ddim", "steps": 9}, "cosine", "v")
    exact, asked = gaussian(guided), []

    def network(x, t, labels):
        asked.append(list(labels))
        return exact(x, t) + numpy.float32(0.1 if labels[0] >= 0 else 0)

    x = guided.sample(network, (2, 3), seed=5, labels=[4, 8])
    assert asked[:2] == [[4, 8], [-1, -1]] and len(asked) == 18
    # (1 + w) c - w u of outputs that differ by 0.1
    y = plain.sample(lambda x, t, labels: exact(x, t) + numpy.float32(0.25), (2, 3), seed=5)
    assert abs(x - y).max() < 1e-5
    ask = next(guided.loop((2, 3), labels=7))
    assert ask.out.shape == (2, 2, 3) and ask.labels.tolist() == [[7, 7], [-1, -1]]


def test_other_numbers_of_steps(sampler):
    calls = []
    sampler.sample(lambda x, t, labels: calls.append(t) or 0 * x, (2, 3), steps=7)
    assert len(calls) == 7 and sampler.steps == 20
    assert tweedie.Sampler.from_recipe(RECIPE, "cosine", "v", steps=6).steps == 6


def test_progress_is_told(sampler):
    told = []
    sampler.sample(
        lambda x, t, labels: 0 * x, (1, 2), steps=4, progress=lambda k, n: told.append((k, n))
    )
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_an_exception_of_the_network_passes(sampler):
    with pytest.raises(ZeroDivisionError):
        sampler.sample(lambda x, t, labels: 1 / 0, (1, 2))


@pytest.mark.parametrize("by", ["file", "pickle"])
def test_a_saved_loop_goes_on_to_the_same_bits(sampler, tmp_path, by):
    network = gaussian(sampler)
    loop = sampler.loop((5, 3), seed=9)
    for _ in range(8):
        ask = next(loop)
        ask.out[...] = network(ask.x, ask.time)
    with pytest.raises(tweedie.Error, match="waits for an output"):
        loop.save_state(tmp_path / "state")
    del ask
    half = sampler.loop((5, 3), seed=9)
    x = half.samples.copy()
    for t in sampler.times[:8]:
        ask = next(half)
        ask.out[...] = network(ask.x, ask.time)
        if ask.step == 7:
            half.answer()
    assert half.step == 8
    if by == "file":
        half.save_state(tmp_path / "state")
        again = sampler.load_state(tmp_path / "state")
    else:
        again = pickle.loads(pickle.dumps(half))
    for ask in again:
        ask.out[...] = network(ask.x, ask.time)
    assert numpy.array_equal(again.samples, sampler.sample(network, (5, 3), seed=9))
    assert not numpy.array_equal(again.samples, x)


def test_samplers_pickle(sampler):
    config = tweedie.Sampler.from_config({"_class_name": "EulerDiscreteScheduler"}, steps=7)
    for one in (sampler, config):
        again = pickle.loads(pickle.dumps(one))
        assert list(again.times) == list(one.times) and repr(again) == repr(one)


def test_recipes_by_name_file_and_dict(tmp_path):
    (tmp_path / "a.toml").write_text(RECIPE)
    (tmp_path / "a.json").write_text('{"sampler": "dpmpp_2m", "steps": 20}')
    given = [
        RECIPE,
        {"sampler": "dpmpp_2m", "steps": 20},
        tmp_path / "a.toml",
        str(tmp_path / "a.json"),
    ]
    made = [tweedie.Sampler.from_recipe(one, "cosine", "v") for one in given]
    assert {tuple(one.times) for one in made} == {tuple(made[0].times)}
    assert tweedie.Sampler.from_recipe("heun-10", "cosine", "v").steps == 10
    assert "heun-10" in tweedie.shipped_recipes()
    assert "1 kernel" in made[0].explain()


def test_threads_share_a_sampler(sampler):
    network, done = gaussian(sampler), {}

    def run(seed):
        done[seed] = sampler.sample(network, (20, 30), seed=seed)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert all(
        numpy.array_equal(done[seed], sampler.sample(network, (20, 30), seed=seed))
        for seed in range(4)
    )
