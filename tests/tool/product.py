"""Samplers, grids and recipes on the shipped models: pictures as good as those of ddim-50, or a
sentence.

A part of them here; `product.py --whole`, by `make product-tool`, goes through every sampler on
every grid by its defaults and every recipe, on each shipped network. It takes hours: what it has
drawn stands in cells.txt, from which it goes on if it was interrupted, unless the tool or a network
is another one since. $JUDGE names the program that knows the classes. Exit code 77: skipped.

Good is: no more than so many pictures less of the class asked for than ddim-50's, from the same
noise, and a total variation (the mean difference of neighbouring pixels, which speckle raises and
blur lowers) within so much of ddim-50's. A hundred pictures leave a share uncertain by 3 %: with
--whole a cell that is not good by them is drawn again, five hundred from other noise, and these
say.
"""

import array
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

from _tool import TWEEDIE, fresh, run

JUDGE = os.environ["JUDGE"]
ROOT = pathlib.Path(os.environ["TWEEDIE_SOURCE_DIR"])
WHOLE = "--whole" in sys.argv
COUNT = "100" if WHOLE else "20"
STEPS = "12"
AGREEMENT = 0.06 if WHOLE else 0.15  # three standard deviations of a share near 0.97 among so many
VARIATION = 1.4
AGAIN = ["--count", "500", "--seed", "11"]
FEW = {
    "samplers": ["heun", "dpmpp_2m", "sde_dpmpp_2m"],
    "grids": [None, "quadratic_ddim"],
    "recipes": ["heun-10", "interval-heun-12"],
    "models": ["fashion-v"]
}

folder = fresh("product")


def names(option):
    """What an option of `tweedie sample` may be, from the sentence for what it may not be."""
    done = run("sample", "--model", str(ROOT / "models" / "fashion-v.safetensors"), option,
               "nothing-like-it", "--out", "x.npy", cwd=folder)
    listed = re.search(r"expected one of: ([a-z0-9_, ]+)", done.stderr)
    assert listed, f"{option}: {done.stderr}"
    return listed.group(1).strip().split(", ")


def variation(path):
    """Of pictures of 28 x 28 in a .npy file."""
    content = path.read_bytes()
    start = 10 + int.from_bytes(content[8:10], "little")
    x = array.array("f", content[start:])
    total = n = 0
    for row in range(0, len(x), 28):
        for i in range(row, row + 27):
            total += abs(x[i + 1] - x[i])
            n += 1
    return total / n


class Finished:
    """The cells that were drawn, kept in a file whose first line says by what."""

    def __init__(self, path, *by):
        made_by = hashlib.sha256(b"".join(pathlib.Path(one).read_bytes() for one in by)).hexdigest()
        lines = path.read_text().splitlines() if path.exists() else []
        if lines[:1] != [made_by]:
            path.write_text(made_by + "\n")
            lines = []
        self.path, self.cells = path, {}
        for line in lines[1:]:
            try:
                words, got = json.loads(line)
            except ValueError:  # interrupted while it was written
                continue
            self.cells[tuple(words)] = got
        if self.cells:
            print(f"{len(self.cells)} cells were drawn before: {path}", flush=True)

    def draw(self, *words):
        if words not in self.cells:
            self.cells[words] = drawn(*words)
            with self.path.open("a") as out:
                out.write(json.dumps([words, self.cells[words]]) + "\n")
        return self.cells[words]


def drawn(model, *words):
    """(agreement, total variation), or the sentence of a refusal."""
    path = pathlib.Path(folder, "x.npy")
    path.unlink(missing_ok=True)
    if "--count" not in words:
        words += ("--count", COUNT, "--seed", "7")
    done = run("sample", "--model", str(ROOT / "models" / (model + ".safetensors")), *words,
               "--threads", str(os.cpu_count()), "--out", "x.npy", cwd=folder,
               timeout=None if WHOLE else 300)  # a thousand steps are half an hour
    if done.returncode == 1:
        said = [line for line in done.stderr.split("\n") if line.startswith("tweedie: ")]
        assert len(said) == 1 and not path.exists(), f"{words}: {done.stderr}"
        return said[0]
    assert done.returncode == 0, f"{words}: exit code {done.returncode}\n{done.stderr}"
    judged = subprocess.run([
        JUDGE, "samples", "--classifier", ROOT / "models" / "classifier.safetensors", "--samples",
        path
    ], capture_output=True, text=True)
    share = re.search(r"^all +\d+ +([\d.]+) %", judged.stdout, re.M)
    assert share, f"judge: {judged.stdout}{judged.stderr}"
    return float(share.group(1)) / 100, variation(path)


def main():
    if not pathlib.Path(JUDGE).exists():
        print("skipped: judge was not built (it needs LibTorch)")
        sys.exit(77)
    if not list(pathlib.Path("/usr/share/datasets/fashion-mnist").glob("train-images-idx3-ubyte*")):
        print("skipped: Fashion-MNIST is not there (Debian: dataset-fashion-mnist)")
        sys.exit(77)
    recipes = [
        line.split()[0] for line in run("recipes", "list", cwd=folder).stdout.splitlines()
        if not line.startswith(" ")
    ]
    every = {
        "samplers": names("--sampler"),
        "grids": names("--grid"),
        "recipes": recipes,
        "models": ["fashion-v", "fashion-epsilon"]
    }
    chosen = every if WHOLE else FEW
    for kind, some in FEW.items():
        assert all(one is None or one in every[kind] for one in some), (kind, every[kind])

    draw = drawn
    if WHOLE:
        files = [ROOT / "models" / (model + ".safetensors") for model in chosen["models"]]
        draw = Finished(pathlib.Path("cells.txt"), TWEEDIE, JUDGE, *files).draw
    wrong = cells = refused = 0
    for model in chosen["models"]:
        agreement, roughness = draw(model, "--recipe", "ddim-50")
        print(f"{model}: ddim-50 {100 * agreement:.0f} %, total variation {roughness:.4f}")
        lines = [["--recipe", one] for one in chosen["recipes"]]
        for sampler in chosen["samplers"]:
            for grid in chosen["grids"]:
                line = ["--sampler", sampler, "--steps", STEPS, "--guidance", "1"]
                lines.append(line + (["--grid", grid] if grid else []))
        for line in lines:
            got = draw(model, *line)
            cells += 1
            if isinstance(got, str):
                refused += 1
                print("refused", model, *line, got)
                continue
            pinned = line[0] == "--recipe" and model == "fashion-v" and WHOLE

            def is_good(share, total, of_share, of_total):
                least = 0.95 if pinned else of_share - AGREEMENT
                in_bounds = of_total / VARIATION <= total <= of_total * VARIATION
                return share >= least - 1e-9 and in_bounds

            good = is_good(*got, agreement, roughness)
            if WHOLE and not good:
                line = line + AGAIN
                got = draw(model, *line)
                good = is_good(*got, *draw(model, "--recipe", "ddim-50", *AGAIN))
            wrong += not good
            print("right" if good else "WRONG", model, *line,
                  f"{100 * got[0]:.0f} %, total variation {got[1]:.4f}", flush=True)
    print(f"{cells} cells, {refused} refused, {wrong} wrong")
    sys.exit(1 if wrong else 0)


main()
