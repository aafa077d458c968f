"""Lines that are nearly right: each is one sentence, with what was typed, what was expected and the
nearest name."""
import os
import struct

from _tool import content, fresh, pictures, refused, run

folder = fresh("work")
pictures(os.path.join(folder, "pictures"))
done = run("train", "--data", "pictures", "--config", "tiny", "--steps", "4", "--batch", "4",
           "--out", "m.safetensors", cwd=folder)
assert done.returncode == 0, done.stderr
model = ("--model", "m.safetensors")
out = ("--out", "x.npy")


def no(expected, *words):
    refused(expected, *words, cwd=folder)


def works(*words):
    done = run(*words, cwd=folder)
    assert done.returncode == 0, "%s: %s" % (" ".join(words), done.stderr)
    return done.stdout


def write(name, text):
    with open(os.path.join(folder, name), "w") as f:
        f.write(text)


works("sample", *model, "--count", "2", "--steps", "2", "--out", "two.npy")
assert works("--version").startswith("tweedie "), "no version"

# Names.
no(["'sampel'", "did you mean sample?"], "sampel", *model)
no(["no command", "train, sample"])
no(["'shwo'", "did you mean show?"], "recipes", "shwo", "heun-10")
no(["no command", "list"], "recipes")
no(["'--modl'", "did you mean --model?"], "sample", "--modl", "m.safetensors", *out)
no(["'--stpes'", "did you mean --steps?"], "explain", "--stpes=5")
no(["'--verison'", "did you mean --version?"], "--verison")
no(["'-x'", "--model"], "sample", *model, "-x", *out)
no(["'boots'", "did you mean boot?"], "sample", *model, "--label", "3,boots", *out)
no(["'huen'", "did you mean heun?"], "explain", "--sampler", "huen")
no(["'karas'", "did you mean karras?"], "explain", "--grid", "karas")
no(["'cosin'", "did you mean cosine?"], "plot", "--schedule", "cosin", "--out", "x.json")
no(["stpes=3", "did you mean steps?"], "plot", "--set", "stpes=3", "--out", "x.json")
# What is far from all that is there is not said to be meant.
write("gather.toml", "")
for words in [("plot", "--schedule", "ddpm", "--out", "x.json"),
              ("explain", "--recipe", "nothere.toml"),
              ("train", "--config", "nothere.toml", "--out", "n.safetensors")]:
    said = run(*words, cwd=folder).stderr
    assert "'%s'" % words[2] in said and "did you mean" not in said, said
os.remove(os.path.join(folder, "gather.toml"))
no(["'tyni'", "did you mean tiny?"], "train", "--config", "tyni", "--out", "n.safetensors")

# Files of another kind as a model, by their first bytes.
works("sample", *model, "--count", "1", "--steps", "2", "--out", "a.png")
for name, kind in [("a.png", "as a PNG does"), ("two.npy", "as an .npy does")]:
    no(["'%s' is no safetensors file" % name, kind], "sample", "--model", name, *out)

# What help says of values: one condition at a time, and which pictures get which label.
said = " ".join(works("sample", "--help").split())
assert "--condition NAME=x.npy a row" in said and "one at a time, --condition a=x.npy" in said, said
assert "a,b on six pictures is a,a,a,b,b,b" in said, said
works("encode", *model, "--in", "two.npy", "--steps", "2", "--out", "latents.npy")
halves = [("--label", "3"), ("--label", "5"), ("--label", "3,5")]
for words in halves:
    works("sample", *model, "--from", "latents.npy", "--steps", "2", *words, "--out",
          words[1] + ".npy")
three, five, both = (content(os.path.join(folder, w[1] + ".npy"))[-2 * 3136:] for w in halves)
assert both == three[:3136] + five[3136:] and three != five

# Words and values that would be taken for others.
for words in [("--recipe", ""), ("--recipe=",), ("--label", ""), ("--count", ""), ("--known", ""),
              ("--sampler=",)]:
    no([words[0].split("=")[0] + " '' was given"], "sample", *model, *words, *out)
no(["--out was given without a value"], "sample", *model, "--out")
no(["--out was given without a value"], "sample", *model, "--out", "--steps", "5")
no(["--steps was given twice, '5' and '6'"], "sample", *model, "--steps", "5", "--steps", "6", *out)
no(["--latex was given twice"], "explain", "--latex", "--latex")
no(["--latex=0 was given", "without a value"], "explain", "--latex=0")
no(["'five'", "after"], "sample", *model, *out, "five")

no(["--label all,none was given", "expected all alone"], "sample", *model, "--label", "all,none",
   *out)
no(["--label 8,none was given", "expected none alone"], "sample", *model, "--label", "8,none", *out)
no(["--label '' was given"], "sample", *model, "--label", "8,", *out)
said = run("sample", *model, "--label", "hat", *out, cwd=folder).stderr
assert said.count("expected") == 1, said

# Grids that begin inside, where a picture is not noise yet.
no(["--sigma-max 5 was given", "expected 10 or more"], "sample", *model, "--grid", "karras",
   "--sigma-max", "5", *out)
no(["the grid quadratic_ddim", "begins at t = 801", "pictures are still seen", "trailing"],
   "sample", *model, "--grid", "quadratic_ddim", *out)
no(["the grid leading with 12 steps begins at t = 914", "expected 10 or more"], "sample", *model,
   "--grid", "leading", "--steps", "12", *out)

# Numbers, as they were typed.
for steps in ["99999999999", "99999999999999999999", "1e3", "0", "-1", "nan", "5.0", "0x"]:
    no(["--steps %s was given" % steps, "from 1 to"], "explain", "--steps", steps)
for option, value in [("--guidance", "nan"), ("--guidance", "1e400"), ("--clip", "-0.50"),
                      ("--dynamic", "1.50"), ("--eta", "-1"), ("--rescale", "1.0e1"),
                      ("--sigma-max", "-80.0"), ("--count", "1e2"),
                      ("--seed", "18446744073709551616"), ("--seed", "-1"), ("--batch", "70000"),
                      ("--columns", "0")]:
    no(["%s %s was given" % (option, value)], "sample", *model, option, value, "--out", "x.png")
no(["--steps 010 was given"], "explain", "--steps", "010")
no(["--steps 010 was given"], "likelihood", *model, "--in", "two.npy", "--steps", "010")
assert works("explain", "--steps", "0x10") == works("explain", "--steps", "16")
usual = ("sample", *model, "--count", "2", "--steps", "2", *out)
works(*usual, "--seed", "0x10")
sixteen = content(os.path.join(folder, "x.npy"))
works(*usual, "--seed", "16")
assert content(os.path.join(folder, "x.npy")) == sixteen
os.remove(os.path.join(folder, "x.npy"))

# What would have no effect.
no(["--label 3,5,7", "3 labels for 2 pictures"], "sample", *model, "--label", "3,5,7", "--count",
   "2", *out)
no(["--dynamic 0.9", "--clip 2"], "sample", *model, "--dynamic", "0.9", "--clip", "2", *out)
no(["--columns 3", "x.npy"], "sample", *model, "--columns", "3", *out)
no(["--seed 3", "--from", "ddim", "no noise"], "sample", *model, "--from", "two.npy", "--seed", "3",
   *out)
no(["--sigma-max", "uniform"], "sample", *model, "--grid", "uniform", "--sigma-max", "80", *out)
no(["--count", "--from"], "sample", *model, "--from", "two.npy", "--count", "2", *out)
no(["--recipe heun-10", "guides", "without a label"], "encode", *model, "--in", "two.npy",
   "--recipe", "heun-10", *out)
no(["--recipe heun-10", "without a label"], "interpolate", *model, "--between", "two.npy",
   "--recipe", "heun-10", *out)
no(["--sampler euler_maruyama", "draws noise"], "encode", *model, "--in", "two.npy", "--sampler",
   "euler_maruyama", *out)
write("nan.toml", 'sampler = "ddim"\nguidance = { name = "classifier_free", w = nan }\n')
no(["nan.toml", "guidance", "w = nan"], "explain", "--recipe", "nan.toml")
no(["--threads", "--loss"], "plot", "--threads", "2", "--out", "x.json")
write("own.toml", 'sampler = "ddim"\nschedule = "linear"\npredicts = "epsilon"\n')
no(["--schedule cosine", "own.toml"], "explain", "--recipe", "own.toml", "--schedule", "cosine")
no(["--predicts v", "own.toml"], "explain", "--recipe", "own.toml", "--predicts", "v")

no(["--sigma-min 0.1", "one step"], "explain", "--grid", "karras", "--steps", "1", "--sigma-min",
   "0.1")

# Ends of a grid that the schedule does not have, said of the option.
no(["--sigma-max 26378.5", "at most 20291"], "sample", *model, "--grid", "karras", "--sigma-max",
   "26378.5", *out)
no(["--sigma-min 100 and --sigma-max 80"], "explain", "--grid", "karras", "--sigma-min", "100",
   "--sigma-max", "80")
no(["--sigma-min 81", "edm"], "plot", "--schedule", "edm", "--grid", "karras", "--sigma-min", "81",
   "--out", "x.json")

# What can be known before the work: a thousand steps would take minutes.
long = ("sample", *model, "--steps", "1000", "--sampler", "ancestral")
no(["x.png", "too many"], *long, "--count", "170000", "--out", "x.png")
no(["memory", "GB"], *long, "--count", "10000000", *
   out) if os.sysconf("SC_PHYS_PAGES") * 4096 < 31e9 else None
no(["at most 255 bytes"], *long, "--out", "x" * 300 + ".npy")
os.symlink("/nowhere/x.npy", os.path.join(folder, "link.npy"))
no(["link.npy", "leads nowhere"], *long, "--out", "link.npy")
os.remove(os.path.join(folder, "link.npy"))
os.mkfifo(os.path.join(folder, "pipe.npy"))
no(["pipe.npy", "regular file"], *long, "--out", "pipe.npy")
os.remove(os.path.join(folder, "pipe.npy"))
kept = content(os.path.join(folder, "two.npy"))
no(["two.npy", "read"], "sample", *model, "--from", "two.npy", "--out", "two.npy")
no(["two.npy", "read"], "encode", *model, "--in", "two.npy", "--out", "./two.npy")
assert content(os.path.join(folder, "two.npy")) == kept

# As many pictures as labels: each has its own.
works("sample", *model, "--label", "3,5,7", "--count", "3", "--steps", "2", "--out", "each.npy")
rows = content(os.path.join(folder, "each.npy"))[-3 * 3136:]
for i, label in enumerate("357"):
    works("sample", *model, "--label", label, "--count", "3", "--steps", "2", "--out", "one.npy")
    one = content(os.path.join(folder, "one.npy"))[-3 * 3136:]
    a, b = (struct.unpack("<784f", whole[3136 * i:3136 * (i + 1)]) for whole in (rows, one))
    assert max(abs(x - y) for x, y in zip(a, b)) < 1e-3, label
print("every line draws what it says, or is refused")
