"""tweedie encode, interpolate and sample --inpaint and --from on a small trained model."""
import math
import os
import struct
import zlib

from _tool import content, fresh, pictures, refused, run

folder = fresh("work")
pictures(os.path.join(folder, "pictures"))
done = run("train", "--data", "pictures", "--config", "tiny", "--steps", "20", "--batch", "8",
           "--rate", "2e-3", "--out", "v.safetensors", cwd=folder)
assert done.returncode == 0, done.stderr


def npy(name, values, count):
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, 1, 28, 28), }" % count
    header += " " * (63 - (len(header) + 10) % 64) + "\n"
    with open(os.path.join(folder, name), "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
                + struct.pack("<%df" % len(values), *values))


def floats(name, count):
    return struct.unpack("<%df" % (count * 784),
                         content(os.path.join(folder, name))[-4 * count * 784:])


def png(name, rows):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(
            ">I", zlib.crc32(kind + data))
    raw = b"".join(b"\0" + bytes(row) for row in rows)
    with open(os.path.join(folder, name), "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" +
                chunk(b"IHDR", struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0, 0, 0)) +
                chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))


def works(*words):
    done = run(*words, cwd=folder)
    assert done.returncode == 0, "%s: %s" % (" ".join(words), done.stderr)
    return done.stdout


two = [math.sin(0.01 * i * i) for i in range(784)] + [math.cos(0.03 * i) for i in range(784)]
npy("two.npy", two, 2)

# There and back by the defaults of both, with a label as without: no clip, no guidance. The more
# steps, the nearer.
model = ("--model", "v.safetensors")
heun = ("--sampler", "heun", "--grid", "karras", "--sigma-max", "80")
for label in [("--label", "3"), ()]:
    errors = []
    for steps in ["5", "40"]:
        works("encode", *model, "--in", "two.npy", "--steps", steps, *heun, *label, "--out",
              "z.npy")
        works("sample", *model, "--from", "z.npy", "--steps", steps, *heun, *label, "--out",
              "back.npy")
        errors.append(max(abs(a - b) for a, b in zip(two, floats("back.npy", 2))))
    assert errors[1] < errors[0] / 2 and errors[1] < 0.2, (label, errors)
back = content(os.path.join(folder, "back.npy"))
works("sample", *model, "--from", "z.npy", "--steps", "40", *heun, "--label", "none", "--guidance",
      "0", "--clip", "0", "--out", "back.npy")
assert content(os.path.join(folder, "back.npy")) == back
assert max(abs(a - b) for a, b in zip(floats("z.npy", 2), two)) > 0.5, "the noise is the picture"

# The ends of an interpolation are the two pictures, there and back.
works("interpolate", *model, "--between", "two.npy", "--steps", "40", *heun, "--count", "5",
      "--out", "i.npy")
between = floats("i.npy", 5)
ends = between[:784] + between[-784:]
assert max(abs(a - b) for a, b in zip(ends, floats("back.npy", 2))) < 1e-3
assert works("interpolate", *model, "--between", "two.npy", "--steps", "4", "--out", "i.png")
assert content(os.path.join(folder, "i.png"))[:8] == b"\x89PNG\r\n\x1a\n"

# What is known is kept to the bit; the rest is drawn.
png("mask.png", [[255] * 10 + [0] * 18 for _ in range(28)])
inpaint = ("--inpaint", "mask.png", "--known", "two.npy", "--label", "none", "--steps", "6",
           "--count", "3")
for sampler in ["ancestral", "ddim"]:
    works("sample", *model, *inpaint, "--sampler", sampler, "--resamplings", "2", "--out", "p.npy")
    kept = floats("p.npy", 3)
    known = struct.unpack("<1568f", struct.pack("<1568f", *two))
    for i in range(3):
        for k in range(784):
            same = kept[784 * i + k] == known[784 * (i % 2) + k]
            assert same == (k % 28 < 10), (sampler, i, k)

# Dynamic thresholding and rescale change what is drawn.
usual = ("sample", *model, "--count", "4", "--steps", "6", "--guidance", "3", "--out", "a.npy")
drawn = set()
for change in [(), ("--dynamic", "0.9"), ("--rescale", "0.7"), ("--rescale", "1", "--clip", "0.5"),
               ("--rescale", "0.5", "--dynamic", "0.9")]:
    works(*usual, *change)
    drawn.add(content(os.path.join(folder, "a.npy")))
assert len(drawn) == 5


def no(expected, *words):
    refused(expected, *words, cwd=folder)


no(["--sampler ddim_eta", "draws noise"], "encode", *model, "--in", "two.npy", "--sampler",
   "ddim_eta", "--out", "n.npy")
no(["--sampler unipc_2", "clean end"], "encode", *model, "--in", "two.npy", "--sampler", "unipc_2",
   "--out", "n.npy")
no(["--from 'small.png'", ".npy"], "sample", *model, "--from", "small.png", "--out", "n.npy")
no(["4 labels", "2 pictures"], "sample", *model, "--from", "two.npy", "--label", "1,2,3,4", "--out",
   "n.npy")
no(["--count 1", "2 known"], "sample", *model, *inpaint[:-2], "--count", "1", "--out", "n.npy")
no(["--resamplings", "--inpaint"], "sample", *model, "--resamplings", "3", "--out", "n.npy")
no(["--out 'n.png'", ".npy"], "encode", *model, "--in", "two.npy", "--out", "n.png")
no(["--in 'two.txt'", ".png, .jpg or .npy"], "encode", *model, "--in", "two.txt", "--out", "n.npy")
no(["nope.npy"], "encode", *model, "--in", "nope.npy", "--out", "n.npy")
npy("one.npy", two[:784], 1)
no(["one.npy", "1 picture", "two"], "interpolate", *model, "--between", "one.npy", "--out", "n.png")
no(["--count 1", "2 to"], "interpolate", *model, "--between", "two.npy", "--count", "1", "--out",
   "n.png")
no(["--inpaint", "--known"], "sample", *model, "--inpaint", "mask.png", "--out", "n.npy")
no(["--known", "--inpaint"], "sample", *model, "--known", "two.npy", "--out", "n.npy")
no(["--sampler heun", "ancestral"], "sample", *model, *inpaint, "--sampler", "heun", "--out",
   "n.npy")
no(["--resamplings 0", "1 to"], "sample", *model, *inpaint, "--resamplings", "0", "--out", "n.npy")
no(["--dynamic 1.5", "quantile"], "sample", *model, "--dynamic", "1.5", "--out", "n.npy")
no(["--rescale 2", "0 to 1"], "sample", *model, "--rescale", "2", "--guidance", "1", "--out",
   "n.npy")
no(["--rescale 0.5", "without a guidance"], "sample", *model, "--rescale", "0.5", "--guidance", "0",
   "--out", "n.npy")
png("small.png", [[255] * 10 for _ in range(10)])
no(["{1, 10, 10}", "{1, 28, 28}"], "sample", *model, "--inpaint", "small.png", "--known", "two.npy",
   "--out", "n.npy")
no(["{1, 1, 10, 10}", "28, 28"], "encode", *model, "--in", "small.png", "--out", "n.npy")
npy("bad.npy", [float("nan")] * 784, 1)
no(["bad.npy", "nan", "finite"], "encode", *model, "--in", "bad.npy", "--out", "n.npy")
no(["--from", "--inpaint"], "sample", *model, *inpaint[:6], "--from", "two.npy", "--out", "n.npy")
