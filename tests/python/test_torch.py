"""Tensors of torch: in place and without copies, and which are refused."""

import pytest
from common import gaussian

import tweedie

torch = pytest.importorskip("torch", reason="torch is not installed")


@pytest.fixture(name="sampler")
def _sampler():
    return tweedie.Sampler.from_recipe("sampler = 'dpmpp_2m'\nsteps = 6", "cosine", "v")


def test_a_loop_on_tensors_gives_the_same_bits(sampler):
    network = gaussian(sampler)
    loop = sampler.loop((5, 3), seed=7)
    for ask in loop:
        x = torch.from_numpy(ask.x)
        assert x.data_ptr() == ask.x.__array_interface__["data"][0]
        torch.from_numpy(ask.out).copy_(torch.from_numpy(network(x.numpy(), ask.time)))
    expected = sampler.sample(lambda x, t, labels: torch.from_numpy(network(x, t)), (5, 3), seed=7)
    assert (loop.samples == expected).all()
    assert (expected == sampler.sample(network, (5, 3), seed=7)).all()


def test_step_writes_into_the_tensor(sampler):
    network, x = gaussian(sampler), torch.randn(4, 1, 3, 5)
    y, expected, at = x.clone(), x.numpy().copy(), x.data_ptr()
    for t in sampler.times:
        assert (
            sampler.step(torch.from_numpy(network(x.numpy(), t)), t, x) is x and x.data_ptr() == at
        )
    for t in sampler.times:
        sampler.step(network(expected, t), t, expected)
    assert (x.numpy() == expected).all() and not torch.equal(x, y)


def test_tensors_that_are_refused(sampler):
    t, x = sampler.times[0], torch.zeros(4, 3)

    def said(output, sample=x):
        with pytest.raises(tweedie.Error) as caught:
            sampler.step(output, t, sample)
        return str(caught.value)

    assert "array of float64 was given; expected float32" in said(x.double())
    assert "bfloat16 was given; expected float32" in said(x.bfloat16())
    assert "that is not contiguous" in said(torch.zeros(3, 4).T)
    assert "a tensor that requires a gradient was given" in said(
        x, torch.zeros(4, 3, requires_grad=True)
    )
    assert "model_output: " in said(torch.zeros(4, 3, device="meta"))
    if torch.cuda.is_available():
        assert "a tensor on a CUDA device was given; expected one on the CPU" in said(x.cuda())
