"""TorchScript files as --model: pictures of one Gaussian a label, as its formulas have them; and
what does not fit is refused by one sentence."""
import math
import os
import struct
import zipfile

from _tool import content, fresh, refused, run

folder = fresh("work")
N = 16  # numbers of a picture


def write(name, text):
    with open(os.path.join(folder, name), "w") as f:
        f.write(text)


def write_npy(name, shape, values, kind="<f4"):
    header = "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }" % (kind, "".join(
        "%d, " % n for n in shape))
    header += " " * (53 - len(header) % 64 + 64) + "\n"
    with open(os.path.join(folder, name), "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() +
                struct.pack("<%d%s" % (len(values), {"<f4": "f", "<i8": "q"}[kind]), *values))


def floats(name):
    data = content(os.path.join(folder, name))
    begin = 10 + struct.unpack("<H", data[8:10])[0]
    return struct.unpack("<%df" % ((len(data) - begin) // 4), data[begin:])


def archive(name, card=None):
    """x0 of N(m, 0.01), m of the label: what torch.jit.save writes, without PyTorch."""
    source = """class Net(Module):
  __parameters__ = []
  __buffers__ = []
  training : bool
  def forward(self: __torch__.Net, x: Tensor, rho: Tensor, y: Tensor) -> Tensor:
    r = torch.view(rho, [-1, 1, 1, 1])
    m = torch.sub(torch.mul(torch.view(y, [-1, 1, 1, 1]), 0.5), 0.5)
    k = torch.mul(torch.reciprocal(torch.add(torch.mul(r, r), 0.01)), 0.01)
    return torch.add(m, torch.mul(torch.sub(x, m), k))
"""
    with zipfile.ZipFile(os.path.join(folder, name), "w") as z:
        z.writestr("net/data.pkl", b"\x80\x02c__torch__\nNet\nq\0)\x81}"
                   b"(X\x08\0\0\0trainingq\x01\x89ubq\x02.")
        z.writestr("net/code/__torch__.py", source)
        z.writestr("net/constants.pkl", b"\x80\x02).")
        z.writestr("net/version", "3\n")
        if card:
            z.writestr("net/extra/tweedie", card)


card = """predicts = "x0"
schedule = "edm"
time = "rho"
range = [-1.0, 1.0]
shape = [1, 4, 4]

[inputs]
time = "rho"
labels = "y"

[labels]
count = 3
null = 3
first = 0
"""
archive("net.pt", card)
done = run("sample", "--model", "net.pt", "--out", "a.npy", cwd=folder)
if "this build has no engine for TorchScript" in done.stderr:
    print("skipped: built without LibTorch")
    raise SystemExit(77)


def drawn(*words, out="a.npy", command="sample"):
    done = run(command, *words, "--out", out, cwd=folder)
    assert done.returncode == 0, "%s: %s" % (" ".join(words), done.stderr)
    return floats(out) if out.endswith(".npy") else content(os.path.join(folder, out))


line = ("--model", "net.pt", "--guidance", "0", "--steps", "30", "--sampler", "heun")
for label, m in [("0", -0.5), ("1", 0.0), ("2", 0.5)]:
    x = drawn(*line, "--label", label, "--count", "40")
    mean = sum(x) / len(x)
    variance = sum((a - mean)**2 for a in x) / len(x)
    assert abs(mean - m) < 0.02 and abs(variance - 0.01) < 0.002, (mean, variance)
assert drawn(*line, out="a.png")[1:4] == b"PNG"

# Encoded and decoded.
drawn(*line, "--count", "2", "--label", "1", out="p.npy")
drawn("--model", "net.pt", "--in", "p.npy", "--label", "1", "--sampler", "heun", "--steps", "60",
      out="l.npy", command="encode")
back = drawn("--model", "net.pt", "--from", "l.npy", "--label", "1", "--sampler", "heun", "--steps",
             "60")
assert max(abs(a - b) for a, b in zip(back, floats("p.npy"))) < 0.02
drawn("--model", "net.pt", "--between", "p.npy", "--steps", "8", "--count", "3", out="b.png",
      command="interpolate")
done = run("explain", "--model", "net.pt", "--steps", "4", cwd=folder)
assert "x0 on edm" in done.stdout, done.stdout + done.stderr

# The likelihood is that of the Gaussian.
p = floats("p.npy")
done = run("likelihood", "--model", "net.pt", "--in", "p.npy", "--label", "1", "--dequantize",
           "none", "--tolerance", "0.001", cwd=folder)
assert done.returncode == 0, done.stderr
for i, said in enumerate(done.stdout.split("\n")[:2]):
    exact = sum(-a * a / 0.02 - math.log(2 * math.pi * 0.01) / 2 for a in p[N * i:N * i + N])
    nats = float(said.split(": ")[1].split(" nats")[0])
    assert abs(nats - exact) < 0.3, (nats, exact)

# Without a card: a draft of one, which says what has to be filled in.
archive("bare.pt")
refused("has no card", "sample", "--model", "bare.pt", "--out", "n.npy", cwd=folder)
done = run("inspect", "bare.pt", cwd=folder)
assert "input y: numbers of any type and shape" in done.stdout, done.stdout
draft = done.stdout.split("to be filled in:\n\n")[1]
for a, b in [("# predicts = \"epsilon", "predicts = \"x0"),
             ("# schedule = \"linear\"", "schedule = \"edm\""),
             ("# time = \"t - 1\"", "time = \"rho\""),
             ("[1, 64, 64]", "[1, 4, 4]"), ("# count = 10", "count = 3"),
             ("# null = 10", "null = 3")]:
    assert a in draft, (a, draft)
    draft = draft.replace(a, b, 1)
write("bare.toml", draft)
near = drawn("--model", "bare.pt", "--guidance", "0", "--steps", "30", "--sampler", "heun",
             "--label", "1", "--count", "2")
assert max(abs(a - b) for a, b in zip(near, p)) < 1e-6
done = run("inspect", "bare.pt", cwd=folder)
assert "shape = [1, 4, 4]" in done.stdout and "can be guided" in done.stdout, done.stdout

# Labels as an array of whole numbers, and a table of abar in place of a schedule's name.
write("bare.toml", card.replace("labels = \"y\"\n", "") .split("[labels]")[0] +
      "[conditions.class]\ninput = \"y\"\ntype = \"i64\"\n")
write_npy("ones.npy", (2, ), [1, 1], "<i8")
near = drawn("--model", "bare.pt", "--guidance", "0", "--steps", "30", "--sampler", "heun",
             "--condition", "class=ones.npy", "--count", "2")
assert max(abs(a - b) for a, b in zip(near, p)) < 1e-6
write_npy("large.npy", (2, ), [1, 16777217], "<i8")
refused(["'large.npy' has the number 16777217 at place 1", "which floats hold"], "sample",
        "--model", "bare.pt", "--condition", "class=large.npy", "--count", "2", "--out", "n.npy",
        cwd=folder)

tabulated = card.replace("schedule = \"edm\"", "alpha_bar = \"abar.npy\"")
abar, product = [], 1.0
for i in range(1000):
    product *= 1 - (1e-4 + (0.02 - 1e-4) * i / 999)
    abar.append(product)
write_npy("abar.npy", (1000, ), abar)
write("bare.toml", tabulated)
of_table = drawn("--model", "bare.pt", "--guidance", "0", "--steps", "20", "--label", "2",
                 "--count", "4")
write("bare.toml", card.replace("\"edm\"", "\"linear\""))
of_name = drawn("--model", "bare.pt", "--guidance", "0", "--steps", "20", "--label", "2", "--count",
                "4")
assert max(abs(a - b) for a, b in zip(of_table, of_name)) < 1e-3
write("bare.toml", tabulated)
for change, word in [(abar[:9] + abar[8:], "at place 9, after"), ([0.9, 0.8, 0.0], "stay above 0"),
                     ([1.0, 0.5], "after the clean level's 1"), ([0.5, float("nan")], "nan was")]:
    write_npy("abar.npy", (len(change), ), change)
    refused(word, "sample", "--model", "bare.pt", "--out", "n.npy", cwd=folder)
write_npy("abar.npy", (2, 500), abar)
refused("expected one number for each timestep", "sample", "--model", "bare.pt", "--out", "n.npy",
        cwd=folder)
os.remove(os.path.join(folder, "abar.npy"))
refused("abar.npy", "sample", "--model", "bare.pt", "--out", "n.npy", cwd=folder)
write("bare.toml", "schedule = \"edm\"\n" + tabulated)
refused("was given beside a schedule", "sample", "--model", "bare.pt", "--out", "n.npy", cwd=folder)

# What is none.
write("text.pt", "no network")
for command in [("sample", "--out", "n.npy", "--model"), ("inspect",)]:
    refused("'text.pt' is no TorchScript file", *command, "text.pt", cwd=folder)
refused("bfloat16 was asked for", "sample", "--model", "net.pt", "--precision", "bfloat16", "--out",
        "n.npy", cwd=folder)
refused("a checkpoint of PyTorch", "sample", "--model", "net.ckpt", "--out", "n.npy", cwd=folder)
write("net.toml", card.replace("[-1.0, 1.0]", "[0.0, 1.0]"))
refused("expected [-1, 1]", "likelihood", "--model", "net.pt", "--in", "p.npy", cwd=folder)
