"""Shared by the tests: a data distribution whose network is exact, and a network that is no
network.
"""

import math

import numpy

MEAN, VARIANCE = 0.3, 0.25


def gaussian_v(x, a, s):
    """The v of data N(MEAN, VARIANCE): E[x0 | x] = m + a v (x - a m) / (a^2 v + s^2)."""
    x0 = MEAN + a * VARIANCE * (x - a * MEAN) / (a * a * VARIANCE + s * s)
    return (a * (x - a * x0) / s - s * x0).astype(numpy.float32)


def gaussian(sampler):
    """The same as a network, of a sampler that asks once a step."""
    levels = dict(zip(sampler.times, zip(sampler.alphas, sampler.sigmas)))
    return lambda x, t, labels=None: gaussian_v(x, *levels[t])


def network_of_replay(x, t):
    """What diffusers.json was recorded with: a function of x and the timestep that no sampler can
    cancel.
    """
    return numpy.tanh(1.3 * x + 0.2 * math.sin(0.01 * t)).astype(numpy.float32)


def start_of_replay(shape):
    i = numpy.arange(math.prod(shape)).reshape(shape)
    return (1.4 * numpy.sin(1.7 * i + 0.3 * numpy.cos(i))).astype(numpy.float32)
