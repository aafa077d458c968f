"""Builds and runs what needs a GPU, and writes one report.

    cmake/gpu.py [--jobs N] [--build FOLDER] [--report FILE]

In turn: the bits of the device beside the host's, every unit test with its states on the device, a fused step's
bandwidth. Needs no network. The exit code is 0 if all passed; without a GPU it is 1, after one sentence.
"""

import argparse
import glob
import os
import shutil
import subprocess
import sys

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def devices():
    """The name, driver and compute capability of each GPU, as nvidia-smi has them."""
    if not shutil.which("nvidia-smi"):
        return []
    run = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version,compute_cap", "--format=csv,noheader"],
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return [line.split(", ") for line in run.stdout.strip().splitlines()] if run.returncode == 0 else []


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--build", default=os.path.join(SOURCE, "build-gpu"))
    parser.add_argument("--report", default=os.path.join(SOURCE, "build-gpu", "gpu.md"))
    args = parser.parse_args()

    found = devices()
    if not found:
        sys.exit("make gpu: no GPU was found (nvidia-smi lists none), expected an NVIDIA one with its driver")
    name, driver, capability = found[0]
    configure = ["cmake", "-S", SOURCE, "-B", args.build, "-G", "Ninja", "-DCMAKE_CXX_COMPILER=g++",
                 f"-DTWEEDIE_GPU_ARCH=sm_{capability.replace('.', '')}", "-DTWEEDIE_TORCH=OFF", "-DTWEEDIE_EXAMPLES=OFF",
                 "-DTWEEDIE_BENCH=OFF", "--log-level=WARNING"]
    if subprocess.run(configure).returncode != 0:
        sys.exit("make gpu: the build cannot be configured")
    built = subprocess.run(["cmake", "--build", args.build, "-j", str(args.jobs), "--target", "gpu", "--", "-k", "0"])

    # gpu_bandwidth is a table of its own; a unit test that did not build is a failed one.
    sources = [("kernels_", glob.glob(os.path.join(SOURCE, "tests", "cuda", "kernels", "*.cu"))),
               ("", glob.glob(os.path.join(args.build, "tests", "gpu", "test_*.cu")))]
    programs = sorted(os.path.join(args.build, "gpu", "gpu_" + kind + os.path.basename(source)[:-3])
                      for kind, found in sources for source in found) + [os.path.join(args.build, "gpu", "on_a_gpu")]
    environment = dict(os.environ, TWEEDIE_SMOKE="1", TWEEDIE_SOURCE_DIR=SOURCE,
                       TWEEDIE_NUMBERS=os.path.join(args.build, "numbers"))
    failed, lines = [], []
    for program in programs:
        try:
            run = subprocess.run([program, "--color_output=no"], env=environment, timeout=600, text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            passed, output = run.returncode == 0, run.stdout
        except (OSError, subprocess.TimeoutExpired) as mistake:
            passed, output = False, str(mistake)
        test = os.path.basename(program).removeprefix("gpu_")
        lines.append(f"| {test} | {'passed' if passed else 'FAILED'} |")
        print(f"{test}: {'passed' if passed else 'FAILED'}", flush=True)
        if not passed:
            failed.append((test, output))
    try:
        measured = subprocess.run([os.path.join(args.build, "gpu", "gpu_bandwidth")], timeout=600, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        table, is_measured = measured.stdout, measured.returncode == 0
    except (OSError, subprocess.TimeoutExpired) as mistake:
        table, is_measured = f"No bandwidth: {mistake}\n", False

    with open(args.report, "w") as report:
        report.write(f"# On a GPU\n\n{name}, driver {driver}, compute capability {capability}.\n\n"
                     f"{len(lines) - len(failed)} passed, {len(failed)} failed.\n\n| test | |\n|---|---|\n"
                     + "\n".join(lines) + "\n\n" + table
                     + "".join(f"\n## {test}\n\n```\n{output}\n```\n" for test, output in failed))
    print(f"{len(lines) - len(failed)} passed, {len(failed)} failed; the report is {args.report}")
    sys.exit(1 if failed or built.returncode != 0 or not is_measured else 0)


main()
