"""The U-Net written a second time, in PyTorch, draws the same pictures from the same noise, by a
second DDIM: networks with and without attention, scale and shift, several blocks, other groups."""
import json
import os
import struct
import subprocess
import sys

from _tool import content, fresh, pictures, run

SOURCE = os.environ["TWEEDIE_SOURCE_DIR"]
NETWORKS = {
    "tiny.toml": "base = 8\nmultipliers = [1]\nblocks = [1]\nattention = []\ngroups = 4\n",
    "added.toml": "base = 8\nmultipliers = [1, 2]\nblocks = [2, 1]\nattention = [28]\ngroups = 2\n"
                  "scale_shift = false\n",
    "deep.toml": "base = 16\nmultipliers = [1, 2, 3]\nblocks = [1, 2, 2]\nattention = [14, 7]\n",
}


def with_torch():
    """An interpreter that has PyTorch and NumPy, or None."""
    for python in (os.path.join(SOURCE, ".deps/peers/bin/python"), sys.executable):
        if os.path.exists(python) and subprocess.run([python, "-c", "import torch, numpy"],
                                                     capture_output=True).returncode == 0:
            return python


python = with_torch()
if not python:
    print("skipped: no Python with PyTorch was found (make bench-peers fetches one)")
    raise SystemExit(77)

folder = fresh("work")
pictures(os.path.join(folder, "pictures"))
worker = os.path.join(SOURCE, "bench", "peers", "pictures.py")
labels = [0, 3, 3, 7, 9]


def floats(name):
    data = content(os.path.join(folder, name))
    begin = 10 + struct.unpack("<H", data[8:10])[0]
    return struct.unpack("<%df" % ((len(data) - begin) // 4), data[begin:])


def second(model, noise, steps):
    asked = {"draw": noise, "labels": labels, "batch": 3, "steps": steps, "out": "b.npy"}
    done = subprocess.run([python, worker, "torch", "--kind", "plain", "--models", model,
                           "--once", json.dumps(asked)], cwd=folder, capture_output=True,
                          text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return floats("b.npy")


def first(model, noise, steps):
    done = run("sample", "--model", model + ".safetensors", "--from", noise, "--label",
               ",".join(map(str, labels)), "--guidance", "1", "--clip", "1", "--steps", str(steps),
               "--out", "a.npy", cwd=folder)
    assert done.returncode == 0, done.stderr
    return floats("a.npy")


# Noise that both begin with: the normal numbers of an encoded picture would be too alike.
values = [((i * 7919) % 2003 / 2003 + (i * 104729) % 1999 / 1999 +
           (i * 1299709) % 1997 / 1997 - 1.5) * 2 for i in range(len(labels) * 784)]
header = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, 1, 28, 28), }" % len(labels)
header += " " * (53 - len(header) % 64 + 64) + "\n"
with open(os.path.join(folder, "noise.npy"), "wb") as f:
    f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() +
            struct.pack("<%df" % len(values), *values))

for name, text in NETWORKS.items():
    with open(os.path.join(folder, name), "w") as f:
        f.write(text)
    model = name.split(".")[0]
    done = run("train", "--data", "pictures", "--config", name, "--steps", "20", "--batch", "8",
               "--rate", "3e-3", "--out", model + ".safetensors", cwd=folder)
    assert done.returncode == 0, done.stderr
    a, b = first(model, "noise.npy", 6), second(model, "noise.npy", 6)
    assert len(a) == len(b) == len(values)
    worst = max(abs(x - y) for x, y in zip(a, b))
    assert worst < 1e-4, "%s: %g apart" % (model, worst)
    spread = max(a) - min(a)
    assert spread > 0.5, "%s: pictures of one colour prove nothing" % model
    print("%s: at most %.1e apart" % (model, worst))
