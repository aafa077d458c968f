"""What one more structure costs the compiler, counted and not timed: clang++'s instantiations of
templates, and the steps that g++ takes in a constant expression to lower it. Seconds are
bench/compile_time.py's, whose structures these are."""

import json
import os
import shutil
import subprocess
import sys
import tempfile

from _files import SOURCE

sys.path.insert(0, str(SOURCE / "bench"))
from compile_time import HEAD, structure  # noqa: E402

INSTANTIATIONS = 220  # of classes and functions, a structure: 181 when this was written
STEPS = 50_000  # of the longest constant expression; between 25,000 and 50,000


def source_of(count, folder):
    path = os.path.join(folder, f"structures_{count}.cpp")
    with open(path, "w") as f:
        f.write(HEAD + "".join(structure(i) for i in range(count)) + "}\n")
    return path


def instantiations(clang, flags, count, folder):
    out = os.path.join(folder, f"{count}.o")
    trace = ["-ftime-trace", "-ftime-trace-granularity=0"]
    command = [clang, *flags, "-O0", *trace, "-c", source_of(count, folder), "-o", out]
    subprocess.run(command, check=True)
    with open(os.path.join(folder, f"{count}.json")) as f:
        events = json.load(f)["traceEvents"]
    return sum(e["name"] in ("InstantiateClass", "InstantiateFunction") for e in events)


def main():
    build = sys.argv[sys.argv.index("--build") + 1]
    flags = ["-std=c++20", "-w", "-ffp-contract=off", f"-I{os.path.join(build, 'include')}"]
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        limit = f"-fconstexpr-ops-limit={STEPS}"
        command = ["g++", *flags, limit, "-fsyntax-only", source_of(10, folder)]
        run = subprocess.run(command, stderr=subprocess.PIPE, text=True)
        if run.returncode != 0:
            wrong.append(
                f"{run.stderr[:2000]}\nthe lowering of a structure takes more than {STEPS} "
                "steps of g++ in a constant expression")
        clang = shutil.which("clang++")
        if clang:
            ten, twenty = (instantiations(clang, flags, n, folder) for n in (10, 20))
            each = (twenty - ten) / 10
            print(f"a structure takes {each:.1f} instantiations, {INSTANTIATIONS} are allowed")
            if each > INSTANTIATIONS:
                wrong.append(f"a structure takes {each:.1f} instantiations of templates, expected "
                             f"{INSTANTIATIONS} at most")
    print("\n".join(wrong) or f"the lowering of a structure takes at most {STEPS} steps of g++")
    if wrong or clang:
        sys.exit(1 if wrong else 0)
    print("skipped: clang++, which counts instantiations, was not found")
    sys.exit(77)


main()
