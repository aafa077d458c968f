"""Judges what the programs of tests/product/ measured, and makes docs/product.md of it.

  product.py --samplers PROGRAM --guidances PROGRAM (--write | --check) PAGE

--write walks through all cells, --check through every fifth. Both fail where a cell is wrong,
--check also where one is worse than the page says.
"""
import argparse
import collections
import os
import re
import subprocess
import sys
import tempfile

from exceptions import EXCEPTIONS

COLUMNS = {
    "samplers": [
        "sampler", "schedule", "grid", "prediction", "steps", "outcome", "data", "ratio", "got",
        "truth", "held"
    ],
    "guidances": [
        "sampler", "guidance", "threshold", "place", "prediction", "steps", "outcome", "ratio",
        "held"
    ],
}
TABLES = ("schedule", "grid")
# of the cells: prime to how many predictions and numbers of steps there are, so that all take turns
PART = 5

HEAD = """# What can be composed

Any sampler goes with any schedule, grid, prediction, guidance and threshold. What comes of it is right, or it is refused by a
sentence before any work, or it is one of the exceptions that are named below: `make product` walks through all of it on networks that are known exactly, and writes this page. The tests
hold every fifth cell to it (`ctest -L product`).

"""

SAMPLERS = """## Samplers, schedules, grids and predictions

{cells} cells: every sampler by its defaults (and with the parameters that change its formula) on every schedule and every grid by
its defaults, for every prediction, by 1, 2, 3, 5, 10, 20 and 50 steps. The samples have two numbers, one of N(0.3, 0.25) and one of two
modes.
{right} are right, {refused} are refused, {exceptions} are exceptions that are named below, {wrong} are wrong.

Right is: mean and standard deviation (as a distance of two normals, sqrt(dm^2 + ds^2)) no further from the truth than twice what
`ddim` is on the same levels, plus 1 % of the standard deviation. Samplers that draw noise, and `ddim` itself, are held to their formula
in double along the same paths (root mean square, 2 % of the standard deviation), and the law of the formula (by its response to
each noise) to the truth as the others are.

The tables have the worst cell in units of what is allowed: 1 is the bound, 0.5 as far off as `ddim`. In brackets is the worst
exception; a dash is where all cells are refused.

"""

GUIDANCES = """## Guidances and thresholds

{cells} cells: every guidance, everywhere and in an interval, with every threshold and every sampler, on six schedules, for every
prediction, by 1, 3 and 10 steps. {right} are right, {refused} are refused, {exceptions} are exceptions, {wrong} are wrong. Right is: the
samples of the guidance's formula in double, to 0.2 % of their size. `ddim` is held to its loop in double, the others to the same sampler
over a network that has mixed the branches.

The largest difference, in units of what is allowed:

"""


def measured(kind, program, part):
    """The lines of a program as dictionaries."""
    with tempfile.NamedTemporaryFile("r", suffix=".tsv") as file:
        done = subprocess.run([program, "--part", str(part), "--out", file.name],
                              capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{program}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return [dict(zip(COLUMNS[kind], line.rstrip("\n").split("\t"))) for line in file]


def key_of(line, kind):
    return tuple(line[c] for c in COLUMNS[kind][:COLUMNS[kind].index("outcome")])


def judged(lines, kind):
    """Of each cell: right, refused, wrong or the reason of an exception, its worst ratio, and its
    worst line."""
    cells = {}
    for line in lines:
        key = key_of(line, kind)
        refused = line["outcome"] == "refused"
        ratio = 0.0 if refused else float(line["ratio"])
        ratio = float("inf") if ratio != ratio else ratio
        before = cells.get(key)
        if before is None or ratio > before["ratio"]:
            cells[key] = dict(line, ratio=ratio, verdict="refused" if refused else "right")
    for key, cell in cells.items():
        if cell["verdict"] == "refused" or cell["ratio"] <= 1:
            continue
        cell["verdict"] = "wrong"
        for one in EXCEPTIONS:
            if one["of"](cell) and cell["ratio"] <= one["up_to"]:
                cell["verdict"], cell["exception"] = "exception", one
                break
    return cells


def counted(cells):
    n = collections.Counter(cell["verdict"] for cell in cells.values())
    return {
        "cells": len(cells),
        "right": n["right"],
        "refused": n["refused"],
        "exceptions": n["exception"],
        "wrong": n["wrong"]
    }


def shown(cells):
    """One field of a table."""
    right = [c["ratio"] for c in cells if c["verdict"] == "right"]
    apart = [c["ratio"] for c in cells if c["verdict"] in ("exception", "wrong")]
    text = f"{max(right):.2f}" if right else ("" if apart else "-")
    return (text + (f" ({max(apart):.3g})" if apart else "")).strip()


def table(cells, row, column):
    rows = list(dict.fromkeys(c[row] for c in cells.values()))
    columns = list(dict.fromkeys(c[column] for c in cells.values()))
    by = collections.defaultdict(list)
    for c in cells.values():
        by[c[row], c[column]].append(c)
        by[c[row], None].append(c)
    text = f"| {row} | " + " | ".join(f"`{c}`"
                                      for c in columns) + " | cells | refused | exceptions |\n"
    text += "|---|" + "---|" * (len(columns) + 3) + "\n"
    for r in rows:
        n = collections.Counter(c["verdict"] for c in by[r, None])
        fields = [shown(by[r, c]) for c in columns] + [
            str(len(by[r, None])), str(n["refused"]),
            str(n["exception"])
        ]
        text += f"| `{r}` | " + " | ".join(fields) + " |\n"
    return text


def sentences(cells):
    """What refusals say, numbers left out, the most frequent first."""
    said = collections.Counter(
        re.sub(r"-?\d+(\.\d+)?(e[-+]?\d+)?|\binf\b|\bnan\b", "#",
               c["data" if "data" in c else "ratio_text"]) for c in cells.values()
        if c["verdict"] == "refused")
    return "".join(f"- {n}: {sentence}\n" for sentence, n in said.most_common())


def page_of(samplers, guidances):
    text = HEAD + SAMPLERS.format(**counted(samplers))
    for column in TABLES:
        text += table(samplers, "sampler", column) + "\n"
    named = [
        one for one in EXCEPTIONS if any(
            c.get("exception") is one for c in [*samplers.values(), *guidances.values()])
    ]
    if named:
        text += "Exceptions:\n\n"
        for one in named:
            count = sum(
                c.get("exception") is one for c in [*samplers.values(), *guidances.values()])
            text += f"- {one['name']} ({count} cells): {one['reason']}\n"
        text += "\n"
    text += "Refused, by what is said:\n\n" + sentences(samplers) + "\n"
    text += GUIDANCES.format(**counted(guidances)) + table(guidances, "guidance",
                                                           "threshold") + "\n"
    text += "Refused, by what is said:\n\n" + sentences(guidances)
    return text


def numbers_of(page):
    """(row, column) -> the worst that a page shows, of all its tables."""
    r, columns = {}, []
    for line in page.split("\n"):
        fields = [f.strip().strip("`") for f in line.strip("|").split("|")]
        if line.startswith("| ") and not line.startswith("| `"):
            columns = fields
        elif line.startswith("| `"):
            for column, field in zip(columns[1:-3], fields[1:-3]):
                found = re.findall(r"[\d.e+-]+", field)
                r[fields[0], column] = max([float(f) for f in found if f != "-"], default=None)
    return r


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--samplers", required=True)
    parser.add_argument("--guidances", required=True)
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--write")
    how.add_argument("--check")
    args = parser.parse_args()
    part = 1 if args.write else PART

    measured_of = {"samplers": judged(measured("samplers", args.samplers, part), "samplers")}
    lines = measured("guidances", args.guidances, part)
    for line in lines:  # a refusal stands where a number would
        line["ratio_text"] = line["ratio"]
    measured_of["guidances"] = judged(lines, "guidances")

    wrong = [(c, kind) for kind, cells in measured_of.items() for c in cells.values()
             if c["verdict"] == "wrong"]
    for c, kind in wrong[:40]:
        print("wrong:", ", ".join(f"{k} {c[k]}" for k in COLUMNS[kind] if k in c))
    for kind, cells in measured_of.items():
        print(kind, counted(cells))
    page = page_of(measured_of["samplers"], measured_of["guidances"])
    if args.write:
        with open(args.write, "w") as f:
            f.write(page)
    else:
        there, now = numbers_of(open(args.check).read()), numbers_of(page)
        known = {row for row, _ in there}
        for row in sorted({row for row, _ in now} - known):
            print(f"{row} is not in {args.check} yet: make product")
        worse = [
            f"{row}, {column}: {now[row, column]}, {there.get((row, column))} in the docs"
            for row, column in now
            if row in known and now[row, column] is not None and not (there.get(
                (row, column)) is not None and now[row, column] <= 1.1 * there[row, column] + 0.05)
        ]
        if worse:
            sys.exit("\n".join(worse) + f"\n{args.check} is not current: make product")
    if wrong:
        sys.exit(f"{len(wrong)} cells are wrong")


main()
