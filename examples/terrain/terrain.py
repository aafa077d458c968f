"""Heightfields by somebody else's network, from Python: what terrain.cpp draws.

    pip download --no-deps adaptive-terrain-diffusion==0.4.2 && unzip -j *.whl '*.onnx'
    python terrain.py terrain_consistency_unet_difficulty100.onnx terrain.png

The network is a consistency model, distilled to a single step: it answers with x0. Its card is
terrain.toml beside this file.
"""

import pathlib
import sys

import numpy

import tweedie


def heights_of(x0):
    """Metres, as the package has them: h = 0.1 sinh(u asinh(22.17 / 0.1)), u = (x0 + 1) / 2."""
    u = numpy.clip((x0[:, 0].astype(float) + 1) / 2, 0, 1)
    return 0.1 * numpy.sinh(u * numpy.arcsinh(22.16864013671875 / 0.1))


def relief_of(heights):
    """Slopes of the heights, ten pixels a metre, lit from the upper left: -1 is black."""
    padded = numpy.pad(heights, ((0, 0), (1, 1), (1, 1)), mode="edge")
    dx = 5 * (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2])
    dy = 5 * (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1])
    light = (1 - dx - dy) / numpy.sqrt(1 + dx * dx + dy * dy) / numpy.sqrt(3)
    return numpy.clip(2 * light - 1, -1, 1).astype(numpy.float32)


def main():
    if len(sys.argv) != 3:
        sys.exit("terrain.py NET.onnx OUT.png: two names are expected")
    card = pathlib.Path(__file__).with_name("terrain.toml")
    network = tweedie.Network(sys.argv[1], card=card)
    pipeline = network.pipeline("sampler = 'ddim'", steps=1)
    terrain = pipeline.sample(10, labels=[0, 24, 49, 74, 99] * 2, seed=7)
    tweedie.write_png(sys.argv[2], relief_of(heights_of(terrain)), columns=5)
    print(f"'{sys.argv[2]}': difficulties 1, 25, 50, 75 and 100 by {network.engine}")


if __name__ == "__main__":
    main()
