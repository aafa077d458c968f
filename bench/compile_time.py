"""What one more structure costs the compiler: a file with ten kinds of step, and the same with ten
more.

As in a plan, the types say which program it is, and its kernel is compiled; the numbers come at run
time."""

import argparse
import json
import os
import resource
import shlex
import shutil
import subprocess
import tempfile

HEAD = """#include <tweedie/dsl/device/launch.hpp>
#include <tweedie/guidances/guidance.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/thresholds/thresholds.hpp>
#include <tweedie/pipelines/compiled.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/rectified_flow.hpp>
using namespace tweedie;
using namespace tweedie::symbols;
using stages_of_all = stage_set<schedules::rectified_flow, predicts::v, guidance::classifier_free, thresholds::clip, samplers::ddim>;
void run(std::span<float const> c, float* p, rows const& r) {
  auto const where = bindings{bind(x, p), bind(out<0>, p), bind(out<1>, p), bind(keep<0>, p), bind(keep<1>, p),
                              bind(past_x0<1>, p), bind(past_x0<2>, p), bind(known, p)};
"""


def structure(i):
    """v, classifier-free guidance and a clip, and a sum over buffers of its own: no two are
    equal."""
    extra = ["known", "keep<0>", "keep<1>", "past_x0<1>", "past_x0<2>"]
    terms = "".join(f" + {0.1 * (j + 1):.1f} * {s}" for j, s in enumerate(extra) if i >> j & 1)
    return f"""  {{
    auto const formula = [](level s) {{ return std::tuple{{x = s.alpha * x0 + s.sigma * eps{terms}}}; }};
    using program = typename lowering::lowered<lowering::among<true, stages_of_all, decltype(formula(level{{}}))>>::program;
    launch<program>(c, where, r);
  }}
"""


def user_seconds(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run(command, check=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def measured(name, asked, command, folder, runs):
    def least(count):
        source = os.path.join(folder, f"structures_{count}{'.cu' if name == 'nvcc' else '.cpp'}")
        with open(source, "w") as f:
            f.write(HEAD + "".join(structure(i) for i in range(count)) + "}\n")
        return min(user_seconds(command(source)) for _ in range(runs))

    ten, twenty = least(10), least(20)
    print(
        f"| {name} | {ten:.2f} s | {twenty:.2f} s | {(twenty - ten) / 10:.3f} s (asked: {asked}) |",
        flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--commands", required=True,
                        help="compile_commands.json: bench/step.cpp's flags are taken")
    args = parser.parse_args()
    with open(args.commands) as f:
        words = next(
            shlex.split(e["command"]) for e in json.load(f) if e["file"].endswith("bench/step.cpp"))
    words = words[os.path.basename(words[0]) == "ccache":]  # a cache would measure itself
    # Without the project's own settings of the compiler's heap, which a user's project need not
    # have.
    flags = [w for w in words[:words.index("-o")] if not w.startswith(("-M", "--param"))]
    include = [w for w in flags if w.startswith("-I")]
    print("Seconds of the compiler for a file with as many structures, least of three\n\n"
          "| compiler | 10 structures | 20 | one more |\n|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out.o")
        measured("g++", 0.12, lambda source: [*flags, "-w", "-c", source, "-o", out], folder,
                 args.runs)
        nvcc = shutil.which("nvcc") or shutil.which("/usr/local/cuda/bin/nvcc")
        if nvcc:
            ptx = [
                nvcc, "-std=c++20", "-ptx", "-arch=compute_75", "-w", "--fmad=false",
                "-DFMT_USE_CONSTEXPR=1", *include
            ]
            measured("nvcc", 0.2, lambda source: [*ptx, "-o", out, source], folder, args.runs)


if __name__ == "__main__":
    main()
