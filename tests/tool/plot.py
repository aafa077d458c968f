"""tweedie plot: its numbers are the schedules' definitions and the network's errors, its pictures
show them, and bad input is one sentence."""
import json
import math
import os
import re
import shutil
import struct

from _tool import content, fresh, pictures, refused, run

folder = fresh("work")
pictures(os.path.join(folder, "pictures"))
for kind in ["images-idx3", "labels-idx1"]:  # the loss is measured on the test part
    shutil.copy(os.path.join(folder, "pictures", "train-%s-ubyte" % kind),
                os.path.join(folder, "pictures", "t10k-%s-ubyte" % kind))


def works(*words):
    done = run("plot", *words, cwd=folder)
    assert done.returncode == 0, "%s: %s" % (" ".join(words), done.stderr)
    return done


def numbers(*words):
    works(*words, "--out", "x.json")
    with open(os.path.join(folder, "x.json")) as f:
        return json.load(f)


def close(a, b, what, slack=1e-9):
    assert a == b or abs(a - b) <= slack * max(1, abs(b)), "%s: %r, expected %r" % (what, a, b)


# Every schedule as it is defined: (alpha, sigma) at a time.
def table(betas):
    """Levels 0 .. T; between them ln(alpha / sigma) is linear, below the first sigma^2 is."""
    abar = [1.0]
    for beta in betas:
        abar.append(abar[-1] * (1 - beta))

    def at(t):
        k = int(t)
        if t == k:
            a = abar[k]
        elif k == 0:
            a = 1 - t * (1 - abar[1])
        else:
            l, m = (math.log(abar[i] / (1 - abar[i])) for i in (k, k + 1))
            a = 1 / (1 + math.exp(-(l + (t - k) * (m - l))))
        return math.sqrt(a), math.sqrt(1 - a)
    return at


def between(first, last, steps, power):
    a, b = first ** (1 / power), last ** (1 / power)
    return [(a + (b - a) * i / (steps - 1)) ** power for i in range(steps)]


def cosine_betas(s, cap, steps):
    f = [math.cos((i / steps + s) / (1 + s) * math.pi / 2) ** 2 for i in range(steps + 1)]
    return [min(1 - f[i + 1] / f[i], cap) for i in range(steps)]


def continuous_cosine(s):
    def at(t):
        f = [math.cos((u + s) / (1 + s) * math.pi / 2) for u in (t, 0)]
        a = f[0] / f[1] if t < 1 else 0
        return a, math.sqrt(1 - a * a)
    return at


def preserving(integral):
    return lambda t: (math.exp(-integral(t) / 2), math.sqrt(-math.expm1(-integral(t))))


def scaled(t):  # the integral of (a + d t)^2
    a, b = math.sqrt(0.85), math.sqrt(12)
    return ((a + (b - a) * t) ** 3 - a ** 3) / (3 * (b - a))


SCHEDULES = {
    "cosine":
    table(cosine_betas(0.008, 0.999, 1000)),
    "linear":
    table(between(1e-4, 0.02, 1000, 1)),
    "scaled_linear":
    table(between(0.00085, 0.012, 1000, 2)),
    "continuous_cosine":
    continuous_cosine(0.008),
    "continuous_linear":
    preserving(lambda t: 0.1 * t + 9.95 * t * t),
    "continuous_scaled_linear":
    preserving(scaled),
    "rectified_flow":
    lambda t: (1 - t, t),
    "variance_exploding":
    lambda t: (1, 0.01 * 5000 ** t),
    "sub_variance_preserving":
    lambda t: (math.exp(-(0.1 * t + 9.95 * t * t) / 2), -math.expm1(-0.1 * t - 9.95 * t * t)),
    "edm":
    lambda t: (1, t)
}
CHANGED = [
    (("cosine", "--set", "s=0.02,beta_cap=0.9,steps=30"), table(cosine_betas(0.02, 0.9, 30)), 30),
    (("linear", "--set", "beta_last=0.5,steps=7", "--steps", "3"), table(between(1e-4, 0.5, 7,
                                                                                 1)), 7),
    (("continuous_cosine", "--set", "s=0.05"), continuous_cosine(0.05), 1),
    (("continuous_linear", "--set", "beta_min=1", "--set", "beta_max=3"),
     preserving(lambda t: t + t * t), 1),
    (("variance_exploding", "--set", "sigma_min=1,sigma_max=16", "--grid", "karras"), lambda t:
     (1, 16 ** t), 1), (("edm", "--set", "sigma_max=4"), lambda t: (1, t), 4)
]


def is_schedule(words, define, end):
    drawn = numbers("--schedule", *words)
    curve = drawn["curve"]
    assert curve["t"] == sorted(set(curve["t"])) and len(curve["t"]) > 400, words
    assert curve["t"][-1] == end and (curve["t"][0] == 0 or words[0] == "edm"), words
    for part in ["curve", "levels"]:
        p = drawn[part]
        for k, (t, alpha, sigma,
                log_snr) in enumerate(zip(p["t"], p["alpha"], p["sigma"], p["log_snr"])):
            clean = part == "levels" and k == len(p["t"]) - 1
            a, s = (1, 0) if clean else define(t)
            where = "%s, %s at %r" % (" ".join(words), part, t)
            close(alpha, a, where + ": alpha")
            close(sigma, s, where + ": sigma", 1e-7)  # 1 - alpha^2 cancels in this definition
            if sigma == 0 or alpha == 0:
                assert log_snr is None, where
            else:
                close(log_snr, math.log(alpha ** 2 / sigma ** 2), where + ": log-SNR", 1e-7)
    assert set(drawn["levels"]["t"][:-1]) <= set(curve["t"]), "the marks are not on the curve"
    assert drawn["schedule"]["name"] == words[0]
    return drawn


for name, define in SCHEDULES.items():
    drawn = is_schedule((name, "--grid", "uniform"), define, {
        "edm": 80,
        "cosine": 1000,
        "linear": 1000,
        "scaled_linear": 1000
    }.get(name, 1))
    assert len(drawn["levels"]["t"]) == 21
for words, define, end in CHANGED:
    is_schedule(words, define, end)

# Grids, as they are defined.
assert numbers("--steps", "4")["levels"]["t"] == [1000, 750, 500, 250, 0]
assert numbers("--steps", "4", "--grid", "quadratic")["levels"]["t"] == [1000, 563, 250, 63, 0]
assert numbers("--steps", "4", "--grid", "leading")["levels"]["t"] == [751, 501, 251, 1, 0]
karras = numbers("--schedule", "edm", "--grid", "karras", "--steps", "5", "--sigma-max",
                 "70")["levels"]["sigma"]
for k in range(5):
    close(karras[k], (70 ** (1 / 7) + k / 4 * (0.002 ** (1 / 7) - 70 ** (1 / 7))) ** 7,
          "Karras's formula")
for grid in ["quadratic_ddim", "leading_solver", "trailing", "linspace", "linspace_solver"]:
    assert len(numbers("--grid", grid, "--steps", "6")["levels"]["t"]) == 7, grid
exponential = numbers("--grid", "exponential", "--steps", "3", "--sigma-max", "100", "--sigma-min",
                      "0.01")["levels"]
for log_snr, expected in zip(exponential["log_snr"], [-2 * math.log(100), 0, 2 * math.log(100)]):
    close(log_snr, expected, "the exponential grid is even in log-SNR", 1e-9)

# The loss. A network that was not trained predicts 0, so its error is the mean of v^2, and E v^2 =
# alpha^2 + sigma^2 E x0^2 over the noise: one standard deviation of the mean over 48 pictures is
# about half a percent of alpha^2.
done = run("train", "--data", "pictures", "--config", "tiny", "--steps", "1", "--batch", "2",
           "--rate", "1e-30", "--out", "v.safetensors", cwd=folder)
assert done.returncode == 0, done.stderr
loss = ("--model", "v.safetensors", "--loss", "--data", "pictures")
drawn = numbers(*loss, "--count", "48", "--steps", "6")
pixels = content(os.path.join(folder, "pictures", "t10k-images-idx3-ubyte"))[16:]
square = sum((2 * p / 255 - 1) ** 2 for p in pixels) / len(pixels)
assert drawn["loss"]["predicts"] == "v" and drawn["loss"]["pictures"] == 48
assert drawn["loss"]["t"] == drawn["levels"]["t"][:-1] and len(drawn["loss"]["t"]) == 6
for mean, alpha, sigma in zip(drawn["loss"]["mean"], drawn["levels"]["alpha"],
                              drawn["levels"]["sigma"]):
    close(mean, alpha ** 2 + sigma ** 2 * square, "the error of a network that predicts 0", 0.03)
# At the noisiest level v is -x0 to 1e-4: its errors are known without the noise.
each = [sum((2 * p / 255 - 1) ** 2 for p in pixels[i * 784:(i + 1) * 784]) / 784 for i in range(48)]
spread = math.sqrt(sum((e - square) ** 2 for e in each) / 48 / 47)
close(drawn["loss"]["mean"][0], square, "the error at the noisiest level", 1e-3)
assert abs(drawn["loss"]["standard_error"][0] / spread -
           1) < 0.01, (drawn["loss"]["standard_error"], spread)
again = numbers(*loss, "--count", "48", "--steps", "6", "--threads", "2")
for a, b in zip(again["loss"]["mean"], drawn["loss"]["mean"]):
    close(a, b, "the same pictures", 1e-5)
assert "loss" not in numbers("--model", "v.safetensors")

# On every kind of schedule, at all its levels: variance_exploding's reach down to its time 0.
for schedule in ["variance_exploding", "edm", "rectified_flow", "linear"]:
    done = run("train", "--data", "pictures", "--config", "tiny", "--schedule", schedule,
               "--predicts", "v", "--steps", "1", "--batch", "2", "--out",
               schedule + ".safetensors", cwd=folder)
    assert done.returncode == 0, done.stderr
    drawn = numbers("--model", schedule + ".safetensors", *loss[2:], "--count", "2", "--steps", "5")
    assert drawn["loss"]["t"] == drawn["levels"]["t"][:-1] and all(
        mean > 0 for mean in drawn["loss"]["mean"]), drawn["loss"]
    for ending in [".safetensors", ".checkpoint", ".csv", ".png"]:
        os.remove(os.path.join(folder, schedule + ending))

# Bad input, refused before anything is written.
def no(expected, *words, out="n.json"):
    refused(expected, "plot", *words, "--out", out, cwd=folder)


no(["--out 'n.pdf'", ".svg, .png or .json"], out="n.pdf")
no(["no folder 'nowhere'"], out="nowhere/n.json")
no(["--schedule 'square'", "cosine, linear"], "--schedule", "square")
no(["--grid 'square'", "uniform, quadratic"], "--grid", "square")
no(["--steps 0", "1 to 1000"], "--steps", "0")
no(["--steps 1001", "1 to 1000"], "--steps", "1001")
no(["8 steps", "has 7"], "--set", "steps=7", "--steps", "8")
no(["--sigma-max", "karras"], "--sigma-max", "80")
no(["--set beta=1", "cosine; expected one of: s, beta_cap, steps"], "--set", "beta=1")
no(["--set s=1", "rectified_flow; expected none"], "--schedule", "rectified_flow", "--set", "s=1")
for word in ["s", "s=", "=", "s=x", "s=nan", "s=inf", "s=1e999", "s=0.1x", "s=-"]:
    no(["--set " + word, "finite number"], "--set", word)
for word in ["steps=0", "steps=2.5", "steps=2000000"]:
    no(["--set " + word, "whole number"], "--set", word)
no(["beta_first = 2", "0 < beta_first <= beta_last < 1"], "--schedule", "linear", "--set",
   "beta_first=2")
no(["sigma_max", "sigma_min"], "--schedule", "variance_exploding", "--set", "sigma_max=0.001")
no(["beta_min = -3", "finite"], "--schedule", "continuous_linear", "--set", "beta_min=-3")
no(["schedules::edm", "sigma_max = -1"], "--schedule", "edm", "--set", "sigma_max=-1")
no(["--schedule", "--model"], "--model", "v.safetensors", "--schedule", "linear")
no(["--set", "--model"], "--model", "v.safetensors", "--set", "s=1")
no(["--loss", "--model"], "--loss")
no(["--count", "--loss"], "--model", "v.safetensors", "--count", "3")
no(["nope.safetensors"], "--model", "nope.safetensors")
with open(os.path.join(folder, "pictures", "bad.safetensors"),
          "wb") as f:  # it would be a line of gnuplot's
    whole = content(os.path.join(folder, "v.safetensors"))
    length, = struct.unpack("<Q", whole[:8])
    header = json.loads(whole[8:8 + length])
    header["__metadata__"]["predicts"] = "v\nset output 'stolen'\n"
    text = json.dumps(header).encode()
    f.write(struct.pack("<Q", len(text)) + text + whole[8 + length:])
done = run("plot", "--model", "pictures/bad.safetensors", "--out", "n.svg", cwd=folder)
assert done.returncode == 1 and "expected one of: v, epsilon" in done.stderr, done.stderr
assert "n.svg" not in os.listdir(folder)
no(["nowhere"], *loss[:3], "--data", "nowhere")
for count in ["1", "49", "-3", "x"]:
    no(["--count", count], *loss, "--count", count)
no(["--threads 0"], "--threads", "0")
no(["x.json"], "--schedule", "linear", out="x.json/n.json")
before = content(os.path.join(folder, "x.json"))
refused(["x.json"], "plot", "--schedule", "edm", "--out", "x.json", cwd=folder, largest_file=1000)
assert content(os.path.join(folder, "x.json")) == before, "half written"

# Without gnuplot the numbers are there still.
path = os.environ["PATH"]
os.environ["PATH"] = fresh("nothing")
no(["gnuplot was not found", "gnuplot-nox"], out="n.svg")
works("--out", "x.json")
os.environ["PATH"] = path
if not shutil.which("gnuplot"):
    print("the numbers are right; without gnuplot no picture was looked at")
    raise SystemExit(0)


def svg(*words):
    works(*words, "--out", "x.svg")
    text = content(os.path.join(folder, "x.svg")).decode()
    return text, re.sub("<[^>]*>", "", text)


def marks(text):
    """The places of the filled circles; behind those with an error bar lies a white one."""
    circle = r"<use xlink:href='#gpPt6' transform='translate\(([\d.]+),([\d.]+)\)[^>]*color='rgb"
    return [tuple(map(float, place)) for place in re.findall(circle, text)]


# The marks lie where the numbers are: an affine map per axis and curve, which two marks give away.
text, words = svg("--steps", "8")
assert "cosine, 8 steps on the usual grid" in words and "levels of the grid" in words
for word in [
        "α, of the signal", "σ, of the noise", "log-SNR", "factor", "ln(α² / σ²)", "200", "1000",
        "0.8", "-10"
]:
    assert word in words, word
assert "squared" not in words
levels = numbers("--steps", "8")["levels"]
places = marks(text)
finite = [x is not None for x in levels["log_snr"]]
assert len(
    places) == 9 + 9 + 1 + sum(finite), "two curves, the legend, and what is finite of the third"
for name, there in [("alpha", places[:9]), ("sigma", places[9:18]),
                    ("log_snr", places[-sum(finite):])]:
    kept = range(9) if name != "log_snr" else [k for k in range(9) if finite[k]]
    for axis, values in [(0, [levels["t"][k] for k in kept]), (1, [levels[name][k] for k in kept])]:
        low, high = values.index(min(values)), values.index(max(values))
        scale = (there[high][axis] - there[low][axis]) / (values[high] - values[low])
        assert (scale > 0) == (axis == 0), "downwards is more"
        for k, value in enumerate(values):
            expected = there[low][axis] + scale * (value - values[low])
            assert abs(there[k][axis] - expected) < 0.2, (name, axis, k, there[k], expected)

# A full disk: in the script, and in the picture, of which gnuplot says nothing.
whole = len(text)
for room in [1000, whole - 100]:
    refused(["room in /tmp"], "plot", "--steps", "8", "--out", "n.svg", cwd=folder,
            largest_file=room)

# The third panel, with the names that gnuplot would take for its own signs as they are.
text, words = svg(*loss, "--count", "10", "--steps", "5")
assert "mean squared error" in words and "of the predicted v, 10 test pictures" in words
assert len(marks(text)) == 6 + 6 + 1 + 5 + 5
text, words = svg("--schedule", "continuous_linear", "--set", "beta_min=0.2")
assert "continuous_linear with beta_min=0.2, 20 steps on the usual grid" in words

for words, size in [(("--schedule", "edm", "--grid", "karras"), (900, 680)),
                    (loss + ("--count", "4"), (900, 990))]:
    works(*words, "--out", "x.png")
    png = content(os.path.join(folder, "x.png"))
    assert png[:8] == b"\x89PNG\r\n\x1a\n" and png[12:16] == b"IHDR" and png.endswith(
        b"IEND\xaeB`\x82")
    assert struct.unpack(">II", png[16:24]) == size
for name in SCHEDULES:
    svg("--schedule", name, "--steps", "1")
assert sorted(os.listdir(folder)) == [
    "pictures", "v.checkpoint", "v.csv", "v.png", "v.safetensors", "x.json", "x.png", "x.svg"
], "something was left"
print("the curves are their definitions")
