"""Bad input of tweedie train: one sentence each, exit code 1, nothing written."""
import os

from _tool import fresh, pictures, refused, run

folder = fresh("work")
pictures(os.path.join(folder, "pictures"))
os.makedirs(os.path.join(folder, "empty"))
pictures(os.path.join(folder, "none"), 0)
pictures(os.path.join(folder, "cut"))
images = os.path.join(folder, "cut", "train-images-idx3-ubyte")
os.truncate(images, os.path.getsize(images) - 1)
BASE = ["train", "--data", "pictures", "--config", "tiny", "--steps", "1", "--batch", "2", "--out", "m.safetensors"]


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
bad(["--weight", "min_snr"], "--weight", "heavy")
bad(["--decay", "none, linear, cosine"], "--decay", "never")
bad(["--config", "small, tiny"], "--config", "huge")
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
bad("two purposes", "--loss", "m.safetensors")
bad("two purposes", "--checkpoint", "./loss.png", "--loss", "loss.csv")  # where the plot goes
bad("no x0 follows", "--predicts", "epsilon", "--schedule", "rectified_flow")
refused("--out", *BASE[:-2], cwd=folder)
refused("--colour", *BASE, "--colour", "red", cwd=folder)
refused("tweedie", cwd=folder)
refused("draw", "draw", cwd=folder)

assert run("--help", cwd=folder).returncode == 0
assert "--predicts" in run("train", "--help", cwd=folder).stdout
done = run(*BASE, cwd=folder)
assert done.returncode == 0, done.stderr
print("every bad input is one sentence")
