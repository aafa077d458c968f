"""Bad input of tweedie train: one sentence each, exit code 1, nothing written."""
import json
import os
import struct

from _tool import content, fresh, pictures, refused, run

folder = fresh("work")
pictures(os.path.join(folder, "pictures"))
os.makedirs(os.path.join(folder, "empty"))
pictures(os.path.join(folder, "none"), 0)
pictures(os.path.join(folder, "cut"))
images = os.path.join(folder, "cut", "train-images-idx3-ubyte")
os.truncate(images, os.path.getsize(images) - 1)
BASE = [
    "train", "--data", "pictures", "--config", "tiny", "--steps", "1", "--batch", "2", "--out",
    "m.safetensors"
]


def bad(expected, *changes):
    words = BASE.copy()
    for option, value in zip(changes[::2], changes[1::2]):
        if option in words:
            words[words.index(option) + 1] = value
        else:
            words += [option, value]
    refused(expected, *words, cwd=folder)


bad(["--predicts", "epsilon, x0, score, velocity"], "--predicts", "noise")
bad(["--schedule", "cosine, linear"], "--schedule", "square")
bad(["--weight", "plain, uniform, snr_plus_1"], "--weight", "heavy")
bad(["--times", "stratified_log_normal"], "--times", "often")
bad(["--decay", "none, linear, cosine"], "--decay", "never")
bad(["--config", "small, medium, tiny"], "--config", "huge")
for name in ["t.pt", "q.onnx", "m", "m.png", "m.safetensor"]:  # sample would take none of these
    bad(["--out '%s' was given" % name, ".safetensors"], "--out", name)
bad(["--from 'pets.onnx' was given", "an ONNX file"], "--from", "pets.onnx")
bad(["--from 'pets.pt' was given", "PyTorch"], "--from", "pets.pt")
said = run(*BASE, "--schedule", "ddpm", cwd=folder).stderr
assert "'ddpm' was given" in said and "did you mean" not in said, said
for number in ["0", "-3", "x", "1e99"]:
    bad("--steps", "--steps", number)
    bad("--batch", "--batch", number)
    bad("--threads", "--threads", number)
    bad("--checkpoint-every", "--checkpoint-every", number)
    bad("--limit", "--limit", number)
bad("--warmup", "--warmup", "-1")
for number in ["nan", "0", "-1", "inf", "fast"]:
    bad("--rate", "--rate", number)
for number in ["nan", "1", "-0.1", "2"]:
    bad("--ema", "--ema", number)
    bad("--dropout", "--dropout", number)
for number in ["nan", "-0.1", "1.1"]:
    bad("--label-dropout", "--label-dropout", number)
bad("--seed", "--seed", "-1")
bad("--seed", "--seed", "many")
bad("--epochs", "--epochs", "2")  # beside --steps
bad("nowhere", "--data", "nowhere")
bad("empty", "--data", "empty")
bad("no pictures", "--data", "none")
bad("cut", "--data", "cut")
bad("no folder", "--out", "nowhere/m.safetensors")
bad("folder", "--out", "empty")
bad("no folder", "--loss", "nowhere/loss.csv")
with open(os.path.join(folder, "kept.safetensors"), "w") as f:
    f.write("a model without its checkpoint")
bad(["--out 'kept.safetensors' is there", "no checkpoint 'kept.checkpoint'", "--from"], "--out",
    "kept.safetensors")
assert content(os.path.join(folder, "kept.safetensors")) == b"a model without its checkpoint"
bad("two purposes", "--loss", "m.safetensors")
bad("two purposes", "--checkpoint", "./loss.png", "--loss", "loss.csv")  # where the plot goes
bad("no x0 follows", "--predicts", "epsilon", "--schedule", "rectified_flow")
refused("--out", *BASE[:-2], cwd=folder)
refused("--colour", *BASE, "--colour", "red", cwd=folder)
refused("tweedie", cwd=folder)
refused("draw", "draw", cwd=folder)

assert run("--help", cwd=folder).returncode == 0
assert "--predicts" in run("train", "--help", cwd=folder).stdout

# Pictures and tables that no training made are not written over.
for name, text, expected in [("m.png", "a picture", "m.png"), ("m.csv", "name,age\n", "m.csv")]:
    with open(os.path.join(folder, name), "w") as f:
        f.write(text)
    refused([expected, "is there"], *BASE, cwd=folder)
    assert content(os.path.join(folder, name)).decode() == text
    os.remove(os.path.join(folder, name))

done = run(*BASE, cwd=folder)
assert done.returncode == 0, done.stderr
os.remove(os.path.join(folder, "m.checkpoint"))
refused(["is there", "no checkpoint"], *BASE, cwd=folder)
os.remove(os.path.join(folder, "m.safetensors"))
done = run(*BASE, cwd=folder)  # over its own table and plot
assert done.returncode == 0, done.stderr

# Every weight, every way to draw times, and what is trained by default where alpha is 1.
CHANGED = [word for word in BASE if word not in ("--out", "m.safetensors")]
for number, words in enumerate([("--weight", w) for w in [
        "uniform", "snr_plus_1", "truncated_snr", "min_snr", "p2", "edm", "flow_matching", "sigmoid"
]] + [("--times", t)
      for t in ["uniform", "log_normal", "logit_normal", "by_loss", "stratified_by_loss"]] +
                               [("--schedule", "edm"), ("--schedule", "variance_exploding"),
                                ("--schedule", "rectified_flow", "--predicts", "velocity")]):
    done = run(*CHANGED, *words, "--out", "n%d.safetensors" % number, cwd=folder)
    assert done.returncode == 0, done.stderr
    said = content(os.path.join(folder, "n%d.safetensors" % number))
    if words[0] in ("--weight", "--times"):
        assert words[1].encode() in said, words
    if words == ("--schedule", "edm"):
        assert b"stratified_log_normal" in said and b'"predicts":"edm"' in said.replace(
            b": ", b":"), said[:3000]

# From another model's weights: of the same network, whatever it was trained to.
refused(["--from", "another network", "classes 10 there, 0 asked for"], *BASE[:-1],
        "o.safetensors", "--from", "m.safetensors", "--unconditional", cwd=folder)
refused(["--from", "multipliers [1] there, [1,3,6] asked for"],
        *[word if word != "tiny" else "small" for word in BASE[:-1]], "o.safetensors", "--from",
        "m.safetensors", cwd=folder)
refused("nowhere", *BASE[:-1], "o.safetensors", "--from", "nowhere.safetensors", cwd=folder)
done = run(*BASE[:-1], "o.safetensors", "--from", "m.safetensors", "--predicts", "epsilon",
           cwd=folder)
assert done.returncode == 0, done.stderr
assert "begun with the weights of 'm.safetensors'" in done.stderr, done.stderr
assert "--predicts epsilon was given, but 'm.safetensors' was trained with v" in done.stderr, \
    done.stderr
assert "training epsilon on" in done.stderr, done.stderr


# What is not given is that of the model: its prediction, its schedule, its dropout.
def told(name):
    whole = content(os.path.join(folder, name))
    top = json.loads(whole[8:8 + struct.unpack("<Q", whole[:8])[0]])["__metadata__"]
    return (top["predicts"], json.loads(top["schedule"])["name"],
            round(json.loads(top["network"])["dropout"], 6))


START = ["train", "--data", "pictures", "--steps", "1", "--batch", "2"]
done = run(*START, "--config", "tiny", "--predicts", "x0", "--schedule", "linear", "--dropout",
           "0.25", "--out", "odd.safetensors", cwd=folder)
assert done.returncode == 0, done.stderr
assert told("odd.safetensors") == ("x0", "linear", 0.25), told("odd.safetensors")
for number, (words, expected, said) in enumerate([
    ((), ("x0", "linear", 0.25), ()),
    (("--config", "tiny"), ("x0", "linear", 0.25), ()),
    (("--predicts", "x0", "--schedule", "linear", "--dropout", "0.25"), ("x0", "linear", 0.25), ()),
    (("--schedule", "cosine", "--dropout", "0"), ("x0", "cosine", 0),
     ("--schedule cosine was given, but 'odd.safetensors' was trained with linear",
      "--dropout 0 was given, but 'odd.safetensors' was trained with 0.25"))]):
    done = run(*START, *words, "--from", "odd.safetensors", "--out", "e%d.safetensors" % number,
               cwd=folder)
    assert done.returncode == 0, done.stderr
    assert told("e%d.safetensors" % number) == expected, (words, told("e%d.safetensors" % number))
    assert done.stderr.count("but 'odd.safetensors'") == len(said), done.stderr
    for one in said:
        assert one in done.stderr[:done.stderr.index("training x0")], done.stderr
print("every bad input is one sentence")
