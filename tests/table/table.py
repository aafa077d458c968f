"""docs/methods.md from methods.cpp, the kernels that its program counts, and the numbers that the
tests recorded.

    table.py --program P --numbers FOLDER --rows R --table docs/methods.md [--check]

writes the table, or holds it to them.

With --check the methods, lines, kernels and tests must be the same and the numbers within 5
percent, those below 1e-4, which are rounding, within a factor of 2: another compiler has other last
bits. Exit code 77: the numbers have not been recorded, since the unit tests did not run before.
"""

import argparse
import os
import re
import subprocess
import sys

HEAD = """# The methods of the field

Each is one line; `kernels` are those after each evaluation of the network in a step, as the compiler made them. The tests
in the last column but one record the number beside them; this table is made of the
headers of samplers and of [tests/table/methods.cpp](../tests/table/methods.cpp), and held to it by the test `docs.methods`. The mixture of Gaussians,
whose network is exact, is the truth behind almost all numbers; in the lines `vp` is `schedules::continuous::linear{}`, `v` is
`predicts::v{}`, `network` any network.

| method | the line | kernels | test | number |
|---|---|---|---|---|
"""


def rows_of(source, of_headers):
    text = source[source.index("int main()"):].replace(
        "#include <sampler_rows.inc>  // those that samplers/*.hpp name themselves\n", of_headers)
    for match in re.finditer(r"  // (.*?) \| ([\w ,]+)\n  row\((.*?)\);\n(?=  // |\})", text, re.S):
        method, keys, line = match.group(1), match.group(2), " ".join(
            match.group(3).split()).replace(") .", ").").replace("} .", "}.")
        inside = re.match(r"\d+, \[&\] \{ (?:return )?(.*?);? \}$", line)
        if inside:
            line = inside.group(1).replace("return ", "")
        yield method, [k.strip() for k in keys.split(",")], line


def recorded(folder, key):
    path = os.path.join(folder, key)
    if not os.path.exists(path):
        return None
    module, case, what, value = open(path).read().rstrip("\n").split("\t")
    return f"{module}: {case}", f"{what} {value}"


def table(args):
    here = os.path.dirname(os.path.abspath(__file__))
    kernels = subprocess.run([args.program], check=True, capture_output=True,
                             text=True).stdout.split("\n")[:-1]
    rows = list(rows_of(open(os.path.join(here, "methods.cpp")).read(), open(args.rows).read()))
    if len(rows) != len(kernels):
        sys.exit(f"{len(rows)} rows were read in methods.cpp, its program printed {len(kernels)}")
    every = [key for _, keys, _ in rows for key in keys]
    missing = [key for key in every if recorded(args.numbers, key) is None]
    if missing and 2 * len(missing) < len(every):
        sys.exit(
            f"no test records a number for {', '.join(missing)}: record(\"{missing[0]}\", "
            "\"order\", order) in numbers.hpp"
        )
    if missing:
        print(
            f"skipped: no test recorded a number for {', '.join(missing)} (run the unit tests "
            "before)"
        )
        sys.exit(77)
    lines = []
    for (method, keys, line), count in zip(rows, kernels):
        tests, numbers = zip(*(recorded(args.numbers, key) for key in keys))
        code = line.replace("|", "\\|")
        lines.append(
            f"| {method} | `{code}` | {count} | {'; '.join(tests)} | {'; '.join(numbers)} |")
    return HEAD + "\n".join(lines) + "\n"


def numbers_in(line):
    last = line.rsplit("|", 2)[-2]
    return [float(n) for n in re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[-+]?\d+)?", last)]


def same(a, b):
    if a.rsplit("|", 2)[0] != b.rsplit("|", 2)[0]:
        return False
    return len(numbers_in(a)) == len(numbers_in(b)) and all(
        abs(x - y) <= (0.05 if abs(x) >= 1e-4 else 0.5) * max(abs(x), abs(y))
        for x, y in zip(numbers_in(a), numbers_in(b)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--numbers", required=True)
    parser.add_argument("--rows", required=True,
                        help="sampler_rows.inc, which CMake makes of samplers/*.hpp")
    parser.add_argument("--table", required=True)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    made = table(args)
    if not args.check:
        with open(args.table, "w") as f:
            f.write(made)
        return
    there = open(args.table).read().split("\n")
    # A sampler that has just come is no reason to fail: its row is said.
    methods = {line.split("|")[1] for line in there if line.startswith("|")}
    fresh = [
        line for line in made.split("\n")
        if line.startswith("|") and line.split("|")[1] not in methods
    ]
    for line in fresh:
        print(f"not in {args.table} yet, run tests/table/table.py without --check: {line}")
    made = "\n".join(line for line in made.split("\n") if line not in fresh)
    wrong = [f"in the docs:  {a}\nnow:          {b}" for a, b in zip(there, made.split("\n"))
             if a != b and not (a.startswith("|") and b.startswith("|") and same(a, b))]
    if len(there) != len(made.split("\n")):
        wrong.append(f"{len(there)} lines are in the docs, {len(made.split(chr(10)))} are made")
    if wrong:
        sys.exit("\n".join(wrong) +
                 "\ndocs/methods.md is not current: run tests/table/table.py without --check")


main()
