"""A network in NumPy, its sampler by a recipe, and the loop driven by hand.

The network is the exact one of two points, -1 and 1, in each coordinate:
E[x0 | x] = tanh(alpha x / sigma^2).
"""

import numpy

import tweedie


def velocity(x, alpha, sigma):
    x0 = numpy.tanh(alpha * x / sigma**2)
    return alpha * (x - alpha * x0) / sigma - sigma * x0


def main():
    sampler = tweedie.Sampler.from_recipe("sampler = 'heun'\nsteps = 30", "cosine", "v")
    print(sampler)
    loop = sampler.loop((1000, 2), seed=7)
    for ask in loop:
        ask.out[...] = velocity(ask.x, ask.alpha, ask.sigma)
    samples = loop.samples
    share = (abs(abs(samples) - 1) < 0.02).mean()
    print(f"{share:.1%} of the coordinates are within 0.02 of a point")
    assert share > 0.95


if __name__ == "__main__":
    main()
