"""Nobody can read what tweedie says: work goes on, and what was printed is missed."""
import os
import subprocess

from _tool import TWEEDIE, files, fresh, pictures

folder = fresh("work")
pictures(os.path.join(folder, "pictures"))
FULL = "/dev/full"
train = ("train", "--data", "pictures", "--config", "tiny", "--steps", "4", "--batch", "4", "--out",
         "m.safetensors")
model = ("--model", "m.safetensors")
flow = ("--steps", "2", "--sampler", "heun")
commands = [
    (train, ["m.safetensors"]),
    (("sample", *model, "--count", "2", "--steps", "2", "--out", "a.npy"), ["a.npy"]),
    (("encode", *model, "--in", "a.npy", *flow, "--out", "z.npy"), ["z.npy"]),
    (("interpolate", *model, "--between", "a.npy", *flow, "--out", "i.png"), ["i.png"]),
    (("likelihood", *model, "--in", "a.npy", "--steps", "4"), []),
    (("plot", "--out", "x.json"), ["x.json"]),
    (("recipes", "list"), []),
    (("recipes", "show", "heun-10"), []),
    (("recipes", "validate", "heun-10"), []),
    (("explain",), []),
    (("--version",), []),
    (("sample", "--help"), []),
]


def run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, closed=None):
    def close():
        if closed:
            os.close(closed)

    return subprocess.run([TWEEDIE, *words], cwd=folder, stdout=stdout, stderr=stderr, text=True,
                          timeout=300, preexec_fn=close)


def check(what, words, done, code, made):
    line = "%s: %s" % (what, " ".join(words))
    assert done.returncode == code, "%s: exit code %d, expected %d\n%s" % (line, done.returncode,
                                                                           code, done.stderr)
    missing = [name for name in made if name not in files(folder)]
    assert not missing, "%s: lost %s" % (line, missing)
    if code:
        said = done.stderr.strip().split("\n")[-1]
        assert said.startswith("tweedie: ") and "standard output" in said, "%s said: %s" % (line,
                                                                                            said)


def again(made):
    for name in made:
        if name in files(folder):
            os.remove(os.path.join(folder, name))
    for name in files(folder):
        if name.endswith(".checkpoint"):
            os.remove(os.path.join(folder, name))


with open(FULL, "w") as full:
    for words, made in commands:
        again(made)
        check("2>/dev/full", words, run(words, stderr=full), 0, made)
        again(made)
        check(">/dev/full", words, run(words, stdout=full), 1, made)

# Closed: no file of ours gets a stream's number.
for words, made in [commands[1], commands[9]]:
    again(made)
    check("2>&-", words, run(words, closed=2), 0, made)
    again(made)
    check(">&-", words, run(words, closed=1), 1, made)

# A pipe that nobody reads any longer.
for stream, code in [("stderr", 0), ("stdout", 1)]:
    words, made = commands[1]
    again(made)
    here, there = os.pipe()
    os.close(here)
    done = run(words, **{stream: there})
    os.close(there)
    check("%s into a closed pipe" % stream, words, done, code, made)
print("work goes on, and missing output is said")
