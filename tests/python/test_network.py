"""Networks in ONNX files: what comes out is what the same formula in NumPy gives, and what does not
fit is refused by one sentence.
"""

import os
import pathlib
import pickle
import runpy
import signal
import threading

import numpy
import onnx_file
import pytest
from test_bad_input import sentence

import tweedie
from tweedie import _core

F = numpy.float32
SHIPPED = pathlib.Path(__file__).resolve().parents[2] / "models/fashion-v.onnx"
if not _core.openvino_version:
    pytest.skip("built without OpenVINO", allow_module_level=True)


@pytest.fixture(name="labelled")
def _labelled(tmp_path):
    path = tmp_path / "labelled.onnx"
    onnx_file.gaussian().write(path)
    path.with_suffix(".toml").write_text(onnx_file.LABELS)
    return tweedie.Network(path)


@pytest.fixture(name="conditioned")
def _conditioned(tmp_path):
    path = tmp_path / "conditioned.onnx"
    onnx_file.gaussian("mean").write(path)
    path.with_suffix(".toml").write_text(onnx_file.CONDITION)
    return tweedie.Network(path)


def x0_of(x, rho, mean):
    return (mean + 0.25 * (x - mean) / (0.25 + rho * rho)).astype(F)


def test_what_the_card_says(labelled, conditioned):
    assert (labelled.predicts, labelled.schedule, labelled.shape) == ("x0", "edm", (2,))
    assert labelled.classes == 3 and labelled.names == ["low", "middle", "high"]
    assert conditioned.classes == 0 and conditioned.conditions == ["mean"]
    assert labelled.engine.startswith("OpenVINO ") and 'time = "rho"' in labelled.card
    assert repr(labelled) == "<tweedie.Network 'labelled.onnx', x0>"


def test_a_network_is_a_function(labelled):
    x = numpy.array([[1, 2], [3, -4], [0, 0.5]], F)
    assert labelled(x, 0.7, [0, 1, 2]) == pytest.approx(
        x0_of(x, 0.7, numpy.array([[-0.5], [0], [0.5]])), abs=1e-6
    )
    assert labelled(x, [0.1, 2, 80]) == pytest.approx(
        x0_of(x, numpy.array([[0.1], [2], [80]]), 0.25), abs=1e-6
    )


def test_a_pipeline_samples_as_the_same_function_in_python(labelled):
    pipeline = labelled.pipeline('sampler = "dpmpp_2m"\nsteps = 12')
    drawn = pipeline.sample(5, labels=["low", "low", "high", "middle", "high"], seed=3)
    sampler = tweedie.Sampler.from_recipe("sampler = 'dpmpp_2m'\nsteps = 12", "edm", "x0")
    means = numpy.array([[-0.5], [-0.5], [0.5], [0], [0.5]])
    of_numpy = lambda x, t, labels: x0_of(x, t, means)
    assert drawn == pytest.approx(sampler.sample(of_numpy, (5, 2), seed=3), abs=1e-5)
    again = sampler.sample(labelled, (5, 2), labels=[0, 0, 2, 1, 2], seed=3)
    assert numpy.array_equal(drawn, again)
    assert numpy.array_equal(drawn[2:4], pipeline.sample(2, labels=[2, 1], seed=3, first_id=2))


def test_a_guidance_asks_without_a_label(labelled):
    recipe = {"sampler": "ddim", "steps": 9, "guidance": {"name": "classifier_free", "w": 1.5}}
    pipeline = labelled.pipeline(recipe)
    assert pipeline.branches == 2
    sampler = tweedie.Sampler.from_recipe(recipe, "edm", "x0")
    of_numpy = lambda x, t, labels: x0_of(x, t, numpy.where(labels < 0, 0.25, -0.5)[:, None])
    expected = sampler.sample(of_numpy, (4, 2), seed=1, labels=0)
    assert pipeline.sample(4, labels="low", seed=1) == pytest.approx(expected, abs=1e-5)


def test_named_arrays(conditioned):
    means = numpy.array([[1, 2], [-3, 0.5]], F)
    recipe = {"sampler": "ddim", "steps": 9, "guidance": {"name": "classifier_free", "w": 1.5}}
    drawn = conditioned.pipeline(recipe).sample(
        2, conditions={"mean": means, "negative": numpy.ones((1, 2), F)}, seed=1
    )
    sampler = tweedie.Sampler.from_recipe(recipe, "edm", "x0")
    asked = []

    def of_numpy(x, t, labels):
        asked.append(t)
        return x0_of(x, t, means if len(asked) % 2 else 1)  # the conditioned branch comes first

    assert drawn == pytest.approx(sampler.sample(of_numpy, (2, 2), seed=1), abs=1e-5)
    x = numpy.zeros((2, 2), F)
    assert conditioned(x, 1.0, conditions={"mean": means[:1]}) == pytest.approx(
        x0_of(x, 1, means[:1]), abs=1e-6
    )


def test_a_sampler_s_name_clips_to_the_card_s_range(tmp_path):
    path = tmp_path / "net.onnx"
    onnx_file.gaussian().write(path)
    card = "range = [-0.1, 0.1]\n" + onnx_file.LABELS
    network = tweedie.Network(path, card=card)
    assert abs(network.pipeline("ddim", 5).sample(50, labels=2)).max() <= 0.1 + 1e-6
    assert abs(network.pipeline('sampler = "ddim"', 5).sample(50, labels=2)).max() > 0.5


def test_samples_of_one_s_own_noise(labelled):
    pipeline = labelled.pipeline('sampler = "ddim"', steps=1)
    x = pipeline.sigmas[0] * numpy.array([[1, -1], [0.5, 2]], F)
    x = x.astype(F)
    assert pipeline.sample_from(x, labels=2) == pytest.approx(x0_of(x, 80, 0.5), abs=1e-5)


def test_progress_and_what_it_throws(labelled):
    told = []
    pipeline = labelled.pipeline("heun", steps=4)
    pipeline.sample(1, progress=lambda *now: told.append(now))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]

    def stop(done, steps):
        if done == 2:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        pipeline.sample(1, progress=stop)


def test_an_interrupt_is_heard_between_two_evaluations(labelled):
    pipeline = labelled.pipeline('sampler = "ddim"\ngrid = "karras"', steps=100_000)
    told = {}  # its setdefault is no code of Python, which would hear a signal by itself

    def interrupt():
        while not told:
            pass
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)  # which runs, since the sampling holds no lock
    with pytest.raises(KeyboardInterrupt):
        thread.start()
        pipeline.sample(1, progress=told.setdefault)
    thread.join()
    assert 0 < len(told) < 100_000


def test_networks_and_pipelines_pickle(labelled):
    pipeline = labelled.pipeline("ddim", steps=3)
    again = pickle.loads(pickle.dumps(pipeline))
    assert numpy.array_equal(pipeline.sample(3, seed=5), again.sample(3, seed=5))
    assert again.network.names == labelled.names


def test_a_network_of_another_prediction(labelled):
    sampler = tweedie.Sampler.from_recipe("sampler = 'ddim'\nsteps = 2", "edm", "v")
    assert "a network that predicts x0 was given to a pipeline that takes it for v" in sentence(
        sampler.sample, labelled, (1, 2)
    )
    assert "predicts x0 was given to a pipeline that takes it for v" in sentence(
        labelled.pipeline, 'sampler = "ddim"\npredicts = "v"'
    )


def test_requests(labelled, conditioned):
    pipeline = labelled.pipeline("ddim", steps=2)
    said = lambda *a, **k: sentence(pipeline.sample, *a, **k)
    assert "the label 'hihg' was given; expected one of: low, middle, high; did you mean high" in (
        said(1, labels="hihg")
    )
    assert "label 3 was given, expected 0 to 2" in said(1, labels=3)
    assert "shape {1, 3} was given, expected {samples, 2}" in said((1, 3))
    assert "a condition 'mean' was given; expected none" in said(1, conditions={"mean": 1})
    assert "conditions: a list was given; expected a dict of arrays" in said(1, conditions=[1])
    assert "progress: a int was given" in said(1, progress=3)
    assert "shape = 0 was given; expected 1 to" in said(0)
    of_mean = conditioned.pipeline("ddim", steps=2).sample
    assert "the condition 'mean' is missing; expected conditions={'mean': array}" in sentence(
        of_mean, 1
    )
    assert "the condition 'mean': an array of float64 was given; expected float32" in sentence(
        of_mean, 1, conditions={"mean": numpy.zeros((1, 2))}
    )
    assert "an array of shape (3, 2) was given for 2 samples; expected a row for each" in sentence(
        of_mean, 2, conditions={"mean": numpy.zeros((3, 2), F)}
    )
    x = numpy.zeros((2, 2), F)
    assert "t = 90 was given; expected 0 to 80" in sentence(labelled, x, 90)
    assert "t = 'soon' was given; expected a number" in sentence(labelled, x, "soon")
    assert "3 times were given for 2 samples" in sentence(labelled, x, [1, 2, 3])
    sampler = tweedie.Sampler.from_recipe("sampler = 'ddim'\nsteps = 2", "edm", "x0")
    assert "conditions were given for a network in Python" in sentence(
        sampler.sample, lambda x, t, labels: x, (1, 2), conditions={}
    )


def test_a_guidance_that_the_card_has_no_null_for(tmp_path):
    path = tmp_path / "net.onnx"
    onnx_file.gaussian().write(path)
    network = tweedie.Network(path, card=onnx_file.LABELS.replace("null = 0.25\n", ""))
    guided = {"sampler": "ddim", "guidance": "classifier_free"}
    assert 'the card does not say how "no label" is told (labels.null)' in sentence(
        network.pipeline, guided
    )


def test_files(tmp_path):
    made = lambda *a, **k: sentence(tweedie.Network, *a, **k)
    path = tmp_path / "net.onnx"
    assert "cannot" in made(path)
    path.write_text("hello")
    assert "is no ONNX file" in made(path)
    onnx_file.gaussian().write(path)
    assert "has no card that says what its numbers mean" in made(path)
    assert "of which its card says nothing" in made(path, card=onnx_file.CARD)
    assert "did you mean bfloat16?" in made(path, card=onnx_file.LABELS, precision="bfloat")
    assert "threads = -1 was given; expected 0 to 1024" in made(path, threads=-1)
    assert "schedule" in made(path, card=onnx_file.LABELS.replace('"edm"', '"edn"'))
    assert "No such file" in made(path, card=tmp_path / "none.toml")


@pytest.mark.skipif(not SHIPPED.exists(), reason="the shipped model is not there")
def test_the_shipped_network_draws_pictures():
    network = tweedie.Network(SHIPPED, threads=1)
    assert network.shape == (1, 28, 28) and network.names[1] == "trouser"
    drawn = network.pipeline("dpmpp_2m", steps=8).sample(3, labels="trouser", seed=1)
    assert drawn.shape == (3, 1, 28, 28) and abs(drawn).max() <= 1.2
    # A trouser is bright in the middle and black at the left and the right.
    assert drawn[..., 12:16].mean() > drawn[..., :5].mean() + 0.5


def test_pictures_as_a_file(tmp_path):
    path = tmp_path / "a.png"
    tweedie.write_png(path, numpy.zeros((4, 1, 3, 5), F), columns=4)
    data = path.read_bytes()
    assert data[1:4] == b"PNG" and data[16:24] == (4 * 5 + 3 * 2).to_bytes(4, "big") + (3).to_bytes(
        4, "big"
    )
    before = sorted(os.listdir(tmp_path))
    said = lambda a: sentence(tweedie.write_png, path, a)
    assert "shape (4, 3) was given; expected (pictures, height, width)" in said(
        numpy.zeros((4, 3), F)
    )
    assert said(numpy.full((1, 3, 5), numpy.nan, F)) and said(numpy.zeros((1, 2, 3, 5), F))
    assert path.read_bytes() == data and sorted(os.listdir(tmp_path)) == before


def test_the_terrain_example_draws(tmp_path, monkeypatch, capsys):
    # A stand-in for the network that it is for: x0 = x / 160, whatever the level and the label.
    net, drawn = tmp_path / "net.onnx", tmp_path / "a.png"
    b = onnx_file.Builder().input("noisy", [-1, 1, 128, 128]).input("sigma", [-1])
    b.input("difficulty", [-1]).constant("k", 1 / 160).node("Mul", ["noisy", "k"], "denoised")
    b.output("denoised", [-1, 1, 128, 128]).write(net)
    example = SHIPPED.parents[1] / "examples/terrain/terrain.py"
    monkeypatch.setattr("sys.argv", [str(example), str(net), str(drawn)])
    runpy.run_path(str(example), run_name="__main__")
    assert "difficulties 1, 25, 50, 75 and 100 by OpenVINO" in capsys.readouterr().out
    size = (5 * 128 + 4 * 2).to_bytes(4, "big") + (2 * 128 + 2).to_bytes(4, "big")
    assert drawn.read_bytes()[16:24] == size
