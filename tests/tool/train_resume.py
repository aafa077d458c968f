"""A training that is killed, or stopped by Ctrl-C, and continued has the bits of one that ran
through."""
import os
import signal
import subprocess

from _tool import TWEEDIE, begin, content, fresh, pictures, refused, run, wait_for

TRAIN = [
    "train", "--data", "pictures", "--config", "tiny", "--steps", "150", "--batch", "5", "--rate",
    "1e-3", "--decay", "cosine", "--warmup", "10", "--weight", "min_snr", "--seed", "3",
    "--checkpoint-every", "7", "--out", "m.safetensors"
]


def place(name):
    folder = fresh(name)
    pictures(os.path.join(folder, "pictures"))
    return folder


def outcome(folder):
    return {
        name: content(os.path.join(folder, name))
        for name in ("m.safetensors", "m.csv", "m.checkpoint")
    }


def same(found, expected, what):
    for name in expected:
        assert found[name] == expected[name], "%s: %s has other bytes than without it" % (what,
                                                                                          name)


through = place("through")
done = run(*TRAIN, cwd=through)
assert done.returncode == 0, done.stderr
expected = outcome(through)
rows = expected["m.csv"].decode().strip().split("\n")
assert rows[0] == "step,loss,mean" and len(rows) == 151 and rows[-1].startswith("150,"), rows[-1]

killed = place("killed")
checkpoint = os.path.join(killed, "m.checkpoint")
seen = None
for _ in range(3):
    process = begin(*TRAIN, cwd=killed)
    wait_for(checkpoint, process, seen)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL, process.returncode
    seen = os.stat(checkpoint).st_ino
done = run(*TRAIN, cwd=killed)
assert done.returncode == 0 and "continuing after step" in done.stderr, done.stderr
same(outcome(killed), expected, "kill -9")

stopped = place("stopped")
process = begin(*TRAIN, cwd=stopped)
wait_for(os.path.join(stopped, "m.checkpoint"), process)
process.send_signal(signal.SIGINT)
said = process.communicate()[1]
assert process.returncode == 130, (process.returncode, said)
assert "interrupted after step" in said and "m.safetensors" not in os.listdir(stopped), said

# Another training does not continue from it, and says which setting differs, of what and from what.
before = content(os.path.join(stopped, "m.checkpoint"))
for option, value, said in [("--seed", "4", "seed 3 there, 4 here"),
                            ("--batch", "6", "batch 5 there, 6 here"),
                            ("--predicts", "epsilon", "predicts v there, epsilon here"),
                            ("--rate", "2e-3", "rate 0.001 there, 0.002 here"),
                            ("--schedule", "linear", "schedule cosine there, linear here"),
                            ("--weight", "uniform", "weight min_snr there, uniform here"),
                            ("--times", "uniform", "times stratified there, uniform here"),
                            ("--config", "small", "; multipliers [1] there, [1,3,6] here"),
                            ("--limit", "40", "pictures 48 there, 40 here"),
                            ("--ema", "0.9", "ema 0.999 there, 0.9 here"),
                            ("--label-dropout", "0.2", "label-dropout 0.1 there, 0.2 here")]:
    words = TRAIN.copy()
    if option in words:
        words[words.index(option) + 1] = value
    else:
        words += [option, value]
    refused(["another training", said], *words, cwd=stopped)
    assert '{"' not in run(*words, cwd=stopped).stderr, option
assert content(os.path.join(stopped, "m.checkpoint")) == before

# No room for the next checkpoint: the last one is intact.
refused("m.checkpoint", *TRAIN, cwd=stopped, largest_file=10000)
assert content(os.path.join(stopped, "m.checkpoint")) == before

done = run(*TRAIN, cwd=stopped)
assert done.returncode == 0, done.stderr
same(outcome(stopped), expected, "Ctrl-C and a full disk")

# Once more, when nothing is left to do: the same model.
os.remove(os.path.join(stopped, "m.safetensors"))
done = run(*TRAIN, cwd=stopped)
assert done.returncode == 0, done.stderr
same(outcome(stopped), expected, "a second run")

# A rate that decays to 0 over 150 steps is not that of 160.
longer = [word if word != "150" else "160" for word in TRAIN]
refused(["a training of 150 steps", "--decay cosine", "--steps 150", "--from"], *longer,
        cwd=stopped)

# One that does not decay goes on for more steps, with the bits of one that had them from the
# beginning, and what the times know of the losses is in the checkpoint.
STEADY = [
    "train", "--data", "pictures", "--config", "tiny", "--batch", "16", "--times",
    "stratified_by_loss", "--checkpoint-every", "13", "--out", "m.safetensors", "--steps"
]
steady, at_once = place("steady"), place("at_once")
for steps in ["150", "210"]:
    done = run(*STEADY, steps, cwd=steady)
    assert done.returncode == 0, done.stderr
assert "continuing after step 150 of 210" in done.stderr, done.stderr
done = run(*STEADY, "210", cwd=at_once)
assert done.returncode == 0, done.stderr
same(outcome(steady), outcome(at_once), "60 steps more")
refused(["after step 210 already", "--steps 210 or more"], *STEADY, "190", cwd=steady)

# Standard error that cannot be written stops no training.
with open("/dev/full", "w") as full:
    deaf = place("deaf")
    done = subprocess.run([TWEEDIE, *TRAIN], cwd=deaf, stdout=subprocess.PIPE, stderr=full,
                          timeout=300)
assert done.returncode == 0, done.returncode
same(outcome(deaf), expected, "a full standard error")

# A broken checkpoint is refused and kept.
path = os.path.join(stopped, "m.checkpoint")
whole = content(path)
with open(path, "wb") as f:
    f.write(whole[:-100])
refused("m.checkpoint", *TRAIN, cwd=stopped)
assert content(path) == whole[:-100]
print("resumed to the same bits")
