"""Whether the tests would see a mistake: flips one sign, operator, index, level or coefficient at a
time, and runs the unit tests that mention what the file defines.

    tests/mutants.py [--build build] [--only REGEX] [--every N] [--jobs 2] [--list]

By hand, not by CI: a mutant costs a compilation. The files are the samplers, predictions, guidances
and thresholds, and the nodes of the language. A mutant that no test sees is printed as SURVIVED
with its line; the exit code is then 1. What does not compile counts as seen.
"""

import argparse
import concurrent.futures
import glob
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FILES = [
    "samplers/*.hpp", "predicts/*.hpp", "guidances/*.hpp", "thresholds/*.hpp",
    "dsl/language/expression.hpp", "dsl/kernel/functions.hpp", "dsl/lowering/lower.hpp"
]
# The tests that are about a file, the likeliest first; those of a file that is not here are found
# by its name.
TESTS_OF = {
    "dsl/language/expression.hpp": ["test_language", "test_form", "test_inpainting"],
    "dsl/kernel/functions.hpp": ["test_language", "test_inpainting", "test_form"],
    "dsl/lowering/lower.hpp": ["test_language", "test_laws", "test_run_time"],
    "guidances/guidance.hpp": ["test_guidance", "test_guidance_formulas"],
    "guidances/classifier.hpp": ["test_guidance", "test_guidance_formulas"],
    "predicts/predicts.hpp": ["test_laws", "test_encoding", "test_sde"],
    "predicts/consistency.hpp": ["test_consistency"],
    "predicts/edm.hpp": ["test_edm"],
    "thresholds/thresholds.hpp": ["test_dynamic", "test_guidance", "test_encoding"],
    "samplers/ancestral.hpp": ["test_yardsticks", "test_laws"],
    "samplers/ancestral_learned.hpp": ["test_learned_variance"],
    "samplers/annealed_langevin.hpp": ["test_langevin"],
    "samplers/consistency.hpp": ["test_consistency"],
    "samplers/ddim.hpp": ["test_yardsticks", "test_laws"],
    "samplers/dpmpp_2m.hpp": ["test_orders", "test_bits"],
    "samplers/edm_stochastic.hpp": ["test_sde"],
    "samplers/euler.hpp": ["test_laws", "test_bits"],
    "samplers/euler_maruyama.hpp": ["test_sde"],
    "samplers/heun.hpp": ["test_orders", "test_bits"],
    "samplers/predictor_corrector.hpp": ["test_langevin"],
    "samplers/repaint.hpp": ["test_repaint", "test_inpainting_any_sampler"],
    "samplers/replacement.hpp": ["test_inpainting", "test_repaint", "test_inpainting_any_sampler"],
    "samplers/runge_kutta.hpp": ["test_solvers"],
    "samplers/sde_dpmpp_2m.hpp": ["test_sde"],
    "samplers/tableaux.hpp": ["test_solvers", "test_adaptive"],
    "samplers/unipc_2.hpp": ["test_solvers"],
}
for one in ("apg", "autoguidance", "cfg_plus_plus", "cfg_zero_star", "rescaled", "two_conditions"):
    TESTS_OF[f"guidances/{one}.hpp"] = ["test_guidance_formulas"]

FLIPS = [  # where, and what stands there instead
    (re.compile(r" \+ "), " - "),
    (re.compile(r" - "), " + "),
    (re.compile(r" \* "), " / "),
    (re.compile(r" / "), " * "),
    (re.compile(r"(?<=[(=,] )-(?=[\w(])|(?<=[(])-(?=[\w(])|(?<=return )-(?=[\w(])"), ""),
    (re.compile(
        r"\b(?<=past_x0<)\d|(?<=past_eps<)\d|(?<=keep<)\d|(?<=noise_stream<)\d+|(?<=out<)\d|(?<=branch_x0<)\d|"
        r"(?<=branch_eps<)\d|(?<=let<)\d"), lambda m: str(int(m.group()) + 1)),
    (re.compile(r"\bs(?=\.(alpha|sigma|rho|lambda|t)\b)"), "t"),
    (re.compile(r"\bt(?=\.(alpha|sigma|rho|lambda|t)\b)"), "s"),
    (re.compile(r"(?<![\w.<\[])\d+(\.\d*)?(?![\w.>\]])"), lambda m: str(float(m.group()) + 1)
     if "." in m.group() else str(int(m.group()) + 1)),
]
NOT_CODE = re.compile(
    r"^\s*(//|#|///|throw|static_assert|template|\"|using|struct|static constexpr (char|bool|int|std|auto fields)|"
    r"static (auto|double|bool|std)[^=]*\{$)|fmt::format|error\(|expected|requires|inline constexpr|///<|\bfield\{|if \(!|^  (double|int) \w+ = "
)


def mutants(path):
    """(line number, text of the whole file, what was done)"""
    lines = open(path).read().split("\n")
    for i, line in enumerate(lines):
        code = line.split("  //")[0]
        if NOT_CODE.search(line) or not re.search(r"[-+*/<]|\d|return", code):
            continue
        for pattern, instead in FLIPS:
            for m in pattern.finditer(code):
                new = instead(m) if callable(instead) else instead
                changed = line[:m.start()] + new + line[m.end():]
                yield i + 1, "\n".join(lines[:i] + [changed] + lines[i + 1:]), changed.strip()


def tests_of(path):
    name = os.path.relpath(path, SOURCE)
    if name in TESTS_OF:
        return TESTS_OF[name]
    defined = re.findall(r"^(?:template <[^>]*> )?struct (\w+) \{", open(path).read(), re.M)
    pattern = re.compile(r"\b(samplers|predicts|guidance|thresholds|tableaux)::(%s)\b" %
                         "|".join(defined))
    found = [(len(pattern.findall(open(t).read())), os.path.getsize(t), t)
             for t in glob.glob(SOURCE + "/tests/unit/test_*.cpp")]
    best = sorted((t for t in found if t[0]), key=lambda t: (-min(t[0], 3), t[1]))
    return [os.path.splitext(os.path.basename(t[2]))[0] for t in best[:5]]


class Runner:
    def __init__(self, build):
        self.build = os.path.abspath(build)
        with open(os.path.join(self.build, "compile_commands.json")) as f:
            self.commands = {e["file"]: e["command"] for e in json.load(f)}
        self.libraries = [
            os.path.join(self.build, f"libtweedie_{n}.a")
            for n in ("recipes", "state_file", "io", "core_omp")
        ]
        self.main = os.path.join(self.build, "tests/CMakeFiles/tests_main.dir/main.cpp.o")

    def sees(self, test, overlay, folder):
        source = os.path.join(SOURCE, "tests/unit", test + ".cpp")
        words = shlex.split(self.commands[source])
        words = words[os.path.basename(words[0]) == "ccache":]
        kept, skip = [], False
        for w in words[:words.index("-o")]:
            if skip or w in ("-include", "-MT", "-MF"):
                skip = not skip
            elif not re.match(r"-M|-W|-O", w):
                kept.append(w)
        kept.insert(1, "-I" + overlay)
        program = os.path.join(folder, test)
        compiled = subprocess.run([
            *kept, "-O1", "-w", "-o", program, source, self.main, *self.libraries,
            "-lboost_unit_test_framework", "-lfmt", "-lz", "-lgomp", "-lpthread"
        ], capture_output=True)
        if compiled.returncode != 0:
            return "does not compile" if b"error:" in compiled.stderr else sys.exit(
                compiled.stderr.decode())
        try:
            done = subprocess.run([program], capture_output=True, timeout=120, env={
                **os.environ, "OMP_WAIT_POLICY": "passive"
            })
            return "" if done.returncode == 0 else f"seen by {test}"
        except subprocess.TimeoutExpired:
            return f"{test} does not end"

    def run(self, path, text):
        with tempfile.TemporaryDirectory() as folder:
            overlay = os.path.join(folder, "include")
            there = os.path.join(overlay, "tweedie", os.path.relpath(path, SOURCE))
            os.makedirs(os.path.dirname(there))
            with open(there, "w") as f:
                f.write(text)
            for test in tests_of(path):
                verdict = self.sees(test, overlay, folder)
                if verdict:
                    return verdict
        return ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--build", default=os.path.join(SOURCE, "build"))
    parser.add_argument("--only", default="", help="files, or file:line, that match")
    parser.add_argument("--every", type=int, default=1, help="a sample: each N-th")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--list", action="store_true",
                        help="the mutants, and the tests that would be run")
    args = parser.parse_args()
    work = []
    for pattern in FILES:
        for path in sorted(glob.glob(os.path.join(SOURCE, pattern))):
            name = os.path.relpath(path, SOURCE)
            work += [(path, f"{name}:{n}", text, what) for n, text, what in mutants(path)
                     if re.search(args.only, f"{name}:{n}")]
    work = work[args.every // 2::args.every]
    if args.list:
        for path, where, _, what in work:
            print(f"{where}: {what}   [{', '.join(tests_of(path))}]")
        print(f"{len(work)} mutants")
        return
    runner = Runner(args.build)
    survived = 0
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        verdicts = [pool.submit(runner.run, path, text) for path, _, text, _ in work]
        for i, (one, (_, where, _, what)) in enumerate(zip(verdicts, work)):
            verdict = one.result()
            survived += not verdict
            print(f"{i + 1}/{len(work)} {'SURVIVED' if not verdict else verdict}: {where}: {what}",
                  flush=True)
    print(f"{len(work)} mutants, {survived} survived")
    sys.exit(1 if survived else 0)


main()
