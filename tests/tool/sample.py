"""tweedie sample and explain on small trained models: every sampler and grid, and every bad
input."""
import json
import os
import signal
import struct

from _tool import begin, content, fresh, pictures, refused, run

folder = fresh("work")
pictures(os.path.join(folder, "pictures"))


def train(name, *words):
    done = run("train", "--data", "pictures", "--config", "tiny", "--steps", "20", "--batch", "8",
               "--rate", "2e-3", "--out", name, *words, cwd=folder)
    assert done.returncode == 0, done.stderr


train("v.safetensors", "--predicts", "v")
train("epsilon.safetensors", "--predicts", "epsilon")
train("flow.safetensors", "--predicts", "velocity", "--schedule", "rectified_flow", "--weight",
      "p2")
train("exploding.safetensors", "--predicts", "score", "--schedule", "variance_exploding")
train("x0.safetensors", "--predicts", "x0", "--schedule", "linear", "--unconditional")


def sample(*words, out="a.npy"):
    if "--steps" not in words:
        words += ("--steps", "6")
    done = run("sample", "--count", "4", "--out", out, *words, cwd=folder)
    assert done.returncode == 0, "%s: %s" % (" ".join(words), done.stderr)
    assert done.stdout.count(
        "\n") == 1 and "network" in done.stdout and "sampler" in done.stdout, done.stdout
    return content(os.path.join(folder, out))


# Every sampler on both models by the same line but for the file's name; every grid.
seen = {}
for model in ["v.safetensors", "epsilon.safetensors"]:
    for sampler in [
            "ddim", "ddim_eta", "ancestral", "euler", "heun", "rk4", "dpmpp_2m", "unipc_2",
            "sde_dpmpp_2m"
    ]:
        seen[model, sampler] = sample("--model", model, "--sampler", sampler)
for sampler in ["midpoint", "ralston", "kutta_3", "dpmpp_3m", "dpmpp_3m_published", "lms_3"]:
    sample("--model", "v.safetensors", "--sampler", sampler)
# The cosine table's last step is too long for these in any but a thousand steps: refused, and on
# another grid they go.
for sampler in ["heun_in_rho", "dpm_solver_2", "edm_stochastic", "euler_maruyama"]:
    done = run("sample", "--model", "v.safetensors", "--sampler", sampler, "--out", "n.npy",
               cwd=folder)
    assert done.returncode == 1 and "grids::karras" in done.stderr, (sampler, done.stderr)
    sample("--model", "v.safetensors", "--sampler", sampler, "--grid", "karras", "--steps", "40")
for grid in [
        "uniform", "quadratic", "trailing", "linspace", "linspace_solver", "karras", "exponential"
]:
    sample("--model", "v.safetensors", "--grid", grid)
# These leave the schedule's noisy end out: with few steps they begin where pictures are still seen.
for grid in ["quadratic_ddim", "leading", "leading_solver"]:
    refused([grid, "noise is no start"], "sample", "--model", "v.safetensors", "--grid", grid,
            "--steps", "6", "--out", "n.npy", cwd=folder)
for grid in ["leading", "leading_solver"]:
    sample("--model", "v.safetensors", "--grid", grid, "--steps", "40")
sample("--model", "x0.safetensors", "--grid",
       "quadratic_ddim")  # DDPM's linear schedule has more noise there


def floats(npy):
    return struct.unpack("<%df" % (4 * 784), npy[-4 * 4 * 784:])


def distance(a, b):
    return max(abs(x - y) for x, y in zip(floats(a), floats(b)))


v = {sampler: npy for (model, sampler), npy in seen.items() if model == "v.safetensors"}
assert distance(v["ddim"], v["euler"]) < 0.01, "the ODE in rho by Euler is ddim, but for rounding"
for other in ["ddim_eta", "ancestral", "dpmpp_2m"]:
    assert distance(v["ddim"], v[other]) > 0.01, other

# The same line, the same bits; another seed, label, guidance or eta, others.
usual = sample("--model", "v.safetensors")
assert sample("--model", "v.safetensors") == usual
for change in [("--seed", "1"), ("--label", "9"), ("--guidance", "3"), ("--clip", "0.5"),
               ("--steps", "5")]:
    assert sample("--model", "v.safetensors", *change) != usual, change
noise = sample("--model", "v.safetensors", "--sampler", "ddim_eta", "--eta", "1")
assert noise != sample("--model", "v.safetensors", "--sampler", "ddim_eta", "--eta", "0.5")
beta = sample("--model", "v.safetensors", "--sampler", "ancestral", "--variance", "beta")
assert distance(beta, v["ancestral"]) > 1e-3
# A network's own rounding is its own: at most that depends on the batch.
assert distance(sample("--model", "v.safetensors", "--batch", "3"), usual) < 1e-3
assert distance(sample("--model", "v.safetensors", "--threads", "2"), usual) < 1e-3
assert sample("--model", "v.safetensors", "--label",
              "boot") == sample("--model", "v.safetensors", "--label", "9")

# The other predictions and schedules; an unconditional network; without clip and guidance.
sample("--model", "flow.safetensors")
sample("--model", "exploding.safetensors", "--grid", "karras", "--sampler", "heun")
sample("--model", "x0.safetensors")
sample("--model", "v.safetensors", "--label", "none", "--clip", "0")
sample("--model", "v.safetensors", "--guidance", "0", "--clip", "0", "--label", "1,2")
assert sample("--model", "v.safetensors", out="a.png")[:8] == b"\x89PNG\r\n\x1a\n"


def explain(*words):
    done = run("explain", *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


assert "6 evaluations" in explain("--model", "v.safetensors", "--steps", "6")
assert explain("--model", "v.safetensors") == explain("--predicts", "v", "--schedule", "cosine")
assert "heun" in explain("--predicts", "velocity", "--schedule", "rectified_flow", "--sampler",
                         "heun")


def bad(expected, *changes, command="sample"):
    words = ["--model", "v.safetensors", "--count", "2", "--steps", "3", "--out", "b.png"]
    if command == "explain":
        words = words[:2]
    for option, value in zip(changes[::2], changes[1::2]):
        if option in words:
            words[words.index(option) + 1] = value
        else:
            words += [option, value]
    refused(expected, command, *words, cwd=folder)


bad(["--sampler", "ancestral, ddim, ddim_eta"], "--sampler", "dimm")
bad(["--grid", "uniform"], "--grid", "round")
for steps in ["0", "-1", "1001", "many"]:
    bad("steps", "--steps", steps)
for number in ["nan", "inf", "strong"]:
    bad("--guidance", "--guidance", number)
for number in ["nan", "-1"]:
    bad("--clip", "--clip", number)
bad("ddim_eta", "--eta", "0.5")
bad("--eta", "--sampler", "ddim_eta", "--eta", "2")
bad("ancestral", "--variance", "beta")
bad("--variance", "--sampler", "ancestral", "--variance", "small")
bad("nothing.safetensors", "--model", "nothing.safetensors")
# explain reads the same options by the same code: one of each kind.
bad(["--sampler", "ancestral, ddim, ddim_eta"], "--sampler", "dimm", command="explain")
bad("steps", "--steps", "1001", command="explain")
bad("nothing.safetensors", "--model", "nothing.safetensors", command="explain")
bad("two", "--grid", "linspace", "--steps", "1")
for label in ["10", "-1", "hat", "1,,2", "1.5", "99999999999999999999"]:
    bad(["--label", "t-shirt"], "--label", label)
bad("unconditional", "--model", "x0.safetensors", "--label", "3")
bad("unconditional", "--model", "x0.safetensors", "--guidance", "1")
bad("without a label", "--label", "none", "--guidance", "1")
for number in ["0", "-1", "x"]:
    bad("--count", "--count", number)
    bad("--batch", "--batch", number)
    bad("--threads", "--threads", number)
bad("--seed", "--seed", "-1")
bad([".png", ".npy"], "--out", "b.gif")
bad("no folder", "--out", "nowhere/b.png")
os.mkdir(os.path.join(folder, "pictures.png"))
bad("folder", "--out", "pictures.png")
refused("--model", "sample", "--out", "b.png", cwd=folder)
refused("--predicts", "explain", "--predicts", "noise", cwd=folder)
refused("--schedule", "explain", "--schedule", "noise", cwd=folder)
refused("unconditional", "explain", "--model", "x0.safetensors", "--guidance", "2", cwd=folder)
refused("exclude", "explain", "--model", "v.safetensors", "--predicts", "v", cwd=folder)
# Not finite at the noisy end of a schedule that has alpha = 0 there.
refused(["epsilon", "finite"], "explain", "--predicts", "epsilon", "--schedule",
        "continuous_cosine", cwd=folder)

# Models that are not sound.
whole = content(os.path.join(folder, "v.safetensors"))
length = struct.unpack("<Q", whole[:8])[0]
header, body = json.loads(whole[8:8 + length]), whole[8 + length:]


def broken(expected, change):
    changed = json.loads(json.dumps(header))
    data = change(changed) or body
    text = json.dumps(changed).encode()
    with open(os.path.join(folder, "broken.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)
    bad(["broken.safetensors", expected], "--model", "broken.safetensors")


def metadata(key, value):
    def change(h):
        if value is None:
            del h["__metadata__"][key]
        else:
            h["__metadata__"][key] = value
    return change


def network(**values):
    return metadata("network",
                    json.dumps({
                        **json.loads(header["__metadata__"]["network"]),
                        **values
                    }))


def rename(h):
    h["frist.weight"] = h.pop("first.weight")


def not_finite(h):
    at = h["first.weight"]["data_offsets"][0]
    return body[:at] + struct.pack("<f", float("nan")) + body[at + 4:]


for key in ["format", "network", "predicts", "schedule", "time", "labels", "pixels"]:
    broken(key, metadata(key, None))
    broken("", metadata(key, "nonsense"))
broken("frist.weight", rename)
broken("first.weight", not_finite)
broken("", lambda h: body[:-4])
broken("", lambda h: body + b"1234")
broken("shape", network(base=16))
broken("more weights", network(base=1000000))
broken("more weights", network(classes=900000))
broken("blocks", network(blocks=[0]))
broken("base", network(base="8"))
broken("not known", network(colour=1))
broken("parameters", metadata("schedule", '{"name":"cosine","s":0.008}'))
broken("square", metadata("schedule", '{"name":"square"}'))
for size in [0, 7, 8, 100, len(whole) - 1]:
    with open(os.path.join(folder, "broken.safetensors"), "wb") as f:
        f.write(whole[:size])
    bad("broken.safetensors", "--model", "broken.safetensors")

# No room for the pictures.
refused("b.npy", "sample", "--model", "v.safetensors", "--count", "4", "--steps", "2", "--out",
        "b.npy", cwd=folder, largest_file=4000)

# Ctrl-C: no file.
process = begin("sample", "--model", "v.safetensors", "--sampler", "ancestral", "--steps", "1000",
                "--count", "4000", "--out", "late.npy", cwd=folder)
assert process.stderr.readline().startswith("sample: "), "its first step was to be announced"
process.send_signal(signal.SIGINT)
said = process.communicate(timeout=60)[1]
assert process.returncode == 130 and "interrupted" in said, (process.returncode, said)
assert "late.npy" not in os.listdir(folder)
print("samples, explains, refuses")
