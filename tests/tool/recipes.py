"""tweedie recipes, and sample --recipe: the same bits as the options, TOML as JSON, and every
mistake a sentence."""
import json
import os

from _tool import content, fresh, pictures, refused, run

folder = fresh("recipes")
pictures(os.path.join(folder, "pictures"))


def works(*words):
    done = run(*words, cwd=folder)
    assert done.returncode == 0, "%s: %s" % (" ".join(words), done.stderr)
    return done.stdout


def write(name, text):
    with open(os.path.join(folder, name), "w") as f:
        f.write(text)


works("train", "--data", "pictures", "--config", "tiny", "--steps", "8", "--batch", "8", "--out",
      "m.safetensors")
model = ("--model", "m.safetensors", "--count", "4")


def drawn(*words, out="a.npy"):
    works("sample", *model, *words, "--out", out)
    return content(os.path.join(folder, out))


# Ten are shipped: each is listed, shown as a recipe again, and valid.
names = [
    line.split()[0] for line in works("recipes", "list").splitlines() if not line.startswith(" ")
]
assert len(names) == 10, names
for name in names:
    text = works("recipes", "show", name)
    write("shown.toml", text)
    assert works("recipes", "show", "shown.toml") == text
    assert "is a recipe" in works("recipes", "validate", name)
assert "list of terms" in works("recipes", "validate", "apg-20")
assert "list of terms" not in works("recipes", "validate", "heun-10")

# A recipe draws what its options draw.
write(
    "a.toml",
    'sampler = "heun"\ngrid = "karras"\nsteps = 4\nguidance = { name = "classifier_free", w = 2.0 }\n'
    'threshold = { name = "clip", limit = 0.9 }\n')
write(
    "a.json",
    json.dumps({
        "sampler": "heun",
        "grid": "karras",
        "steps": 4,
        "threshold": {
            "name": "clip",
            "limit": 0.9
        },
        "guidance": {
            "name": "classifier_free",
            "w": 2
        }
    }))
options = ("--sampler", "heun", "--grid", "karras", "--steps", "4", "--guidance", "2", "--clip",
           "0.9")
expected = drawn(*options)
assert drawn("--recipe", "a.toml") == expected
assert drawn("--recipe", "a.json") == expected
assert drawn("--recipe", "heun-10") == drawn("--sampler", "heun", "--grid", "karras", "--steps",
                                             "10", "--guidance", "1.5")
assert works("explain", "--recipe", "a.toml") == works("explain", *options)
assert "\\begin{aligned}" in works("explain", "--recipe", "a.toml", "--latex")
assert works("explain", "--recipe", "a.toml", "--step",
             "2").count("evaluation") < works("explain", *options).count("evaluation")

# Every mistake is one sentence, and nothing is written.
kept = drawn("--recipe", "a.toml", out="kept.npy")


def no(expected, *words):
    refused(expected, *words, cwd=folder)
    assert content(os.path.join(folder, "kept.npy")) == kept


def bad(expected, text, name="bad.toml"):
    write(name, text)
    no(expected, "sample", *model, "--recipe", name, "--out", "kept.npy")
    no(expected, "recipes", "validate", name)


bad(["'smapler'", "did you mean sampler?"], 'smapler = "heun"')
bad(["sampler 'huen'", "did you mean heun?"], 'sampler = "huen"')
bad(["eta", "number"], 'sampler = { name = "ddim_eta", eta = "big" }')
bad(["eta = 2", "0 to 1"], 'sampler = { name = "ddim_eta", eta = 2.0 }')
bad(["steps: 0", "1 or more"], 'sampler = "ddim"\nsteps = 0')
bad(["given twice"], '{"sampler": "ddim", "sampler": "heun"}', "bad.json")
bad(["line 1"], "sampler = ")
bad(["parse error"], '{"sampler": ', "bad.json")
no(["nothing.toml"], "recipes", "validate", "nothing.toml")
no(["'huen-10'", "did you mean heun-10?"], "sample", *model, "--recipe", "huen-10", "--out",
   "kept.npy")
no(["--recipe", "exclude"], "sample", *model, "--recipe", "a.toml", "--steps", "9", "--out",
   "kept.npy")
write("other.toml", 'sampler = "ddim"\nschedule = "linear"')
no(["schedule is", "linear", "cosine"], "sample", *model, "--recipe", "other.toml", "--out",
   "kept.npy")
write("epsilon.toml", 'sampler = "ddim"\npredicts = "epsilon"')
no(["predicts epsilon", "predicts v"], "sample", *model, "--recipe", "epsilon.toml", "--out",
   "kept.npy")
no(["without a label"], "sample", *model, "--recipe", "a.toml", "--label", "none", "--out",
   "kept.npy")
print("recipes draw what their options draw")
