"""tweedie likelihood on a small trained model: steps that are enough, and what is said where they
are not."""
import os
import re
import struct

from _tool import fresh, pictures, refused, run

folder = fresh("work")
pictures(os.path.join(folder, "pictures"))
done = run("train", "--data", "pictures", "--config", "tiny", "--steps", "20", "--batch", "8",
           "--rate", "2e-3", "--out", "v.safetensors", cwd=folder)
assert done.returncode == 0, done.stderr
model = ["likelihood", "--model", "v.safetensors"]


def npy(name, values, count):
    head = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, 1, 28, 28), }" % count
    head += " " * (63 - (len(head) + 10) % 64) + "\n"
    with open(os.path.join(folder, name), "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode())
        f.write(struct.pack("<%df" % len(values), *values))


def works(*words):
    done = run(*model, *words, cwd=folder)
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout.strip().split("\n"), done.stderr


def read(line):
    """Bits per dimension, and the bars by their names."""
    bits = float(re.search(r"(?:nats, |mean: )(-?[0-9.]+)", line).group(1))
    return bits, {
        name: float(bar) for bar, name in re.findall(r"\+- ([0-9.]+) \(([a-z ]+)\)", line)
    }


two = [-1 + 2 * (k * 7 % 256) / 255
       for k in range(784)] + [-1 + 2 * (k % 28 * 9) / 255 for k in range(784)]
npy("two.npy", two, 2)
npy("one.npy", two[:784], 1)

# Where nothing is said of the steps, they are enough.
lines, warned = works("--in", "two.npy", "--seed", "3")
assert len(lines) == 4 and lines[2].startswith("mean: ") and not warned, (lines, warned)
assert "heun" in lines[3] and "bins of 2/255, dequantized uniformly, 1 draw" in lines[3], lines
best, bars = read(lines[2])
assert set(bars) == {"pictures", "probes", "steps"} and bars["steps"] <= 0.01, lines
finer = works("--in", "two.npy", "--seed", "3", "--steps", "160")[0]
assert abs(read(finer[2])[0] - best) <= 0.02, (finer, lines)

# Few of them say by how much they may be off, and it is true.
for n in (4, 5, 10):
    lines, warned = works("--in", "two.npy", "--seed", "3", "--steps", str(n))
    for line, sure in zip(lines[:2], finer[:2]):
        bits, bars = read(line)
        assert abs(bits - read(sure)[0]) <= bars["steps"] + 0.01, (n, line, sure)
    worst = max(read(line)[1]["steps"] for line in lines[:2])
    assert ("%d steps may leave" % n in warned) == (worst > 0.01), (n, lines, warned)

# The same pictures have the same likelihood whatever is beside them.
alone = works("--in", "one.npy", "--steps", "6", "--seed", "3")[0][0]
beside = works("--in", "two.npy", "--steps", "6", "--seed", "3")[0][0]
assert abs(read(alone)[0] - read(beside)[0]) < 0.01, (alone, beside)

# Without dequantization, for other values than 256, by several draws, by one probe.
bare = works("--in", "one.npy", "--steps", "6", "--dequantize", "none")[0]
assert "not dequantized" in bare[2] and read(bare[0])[0] != read(alone)[0], bare
npy("other.npy", [0.7 * a + 0.001 for a in two[:784]], 1)
assert "not dequantized" in works("--in", "other.npy", "--steps", "4", "--sampler", "rk4")[0][2]
drawn = works("--in", "one.npy", "--steps", "6", "--draws", "3", "--sampler", "euler")[0]
assert "3 draws" in drawn[2] and "draws and probes" in read(drawn[0])[1], drawn
assert "probes" not in read(works("--in", "one.npy", "--steps", "4", "--probes", "1")[0][0])[1]


def no(expected, *words):
    refused(expected, *model, *words, cwd=folder)


no(["--probes 0", "1 to"], "--in", "two.npy", "--probes", "0")
no(["--draws 0", "1 to"], "--in", "two.npy", "--draws", "0")
no(["--steps 3", "4 to"], "--in", "two.npy", "--steps", "3")
no(["--sampler 'ddim'", "heun, rk4, euler"], "--in", "two.npy", "--sampler", "ddim")
no(["--steps 8", "--tolerance 0.1"], "--in", "two.npy", "--steps", "8", "--tolerance", "0.1")
no(["a tolerance of 0 bits"], "--in", "two.npy", "--tolerance", "0")
no(["--dequantize 'gauss'", "uniform or none"], "--in", "two.npy", "--dequantize", "gauss")
no(["--dequantize uniform", "other.npy", "none"], "--in", "other.npy", "--dequantize", "uniform")
no(["--draws 2", "not dequantized"], "--in", "other.npy", "--draws", "2")
no(["sigma_min", "sigma_max"], "--in", "two.npy", "--sigma-min", "5", "--sigma-max", "1")
