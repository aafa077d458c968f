"""Builds and tests under each compiler, and counts.

    cmake/test.py [--werror] [--sanitize] [--compiler g++|clang++|aarch64] [--jobs N] [--filter
    REGEX]

With --sanitize clang++'s unit tests run under the address and undefined-behaviour sanitizers, those
about threads once more under g++'s thread sanitizer, and each fuzzer for a minute.

A file that does not build fails its own test and no other. The last line is `N passed, N failed`,
with `, N skipped` where some were. The exit code is 0 if all that ran passed.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as xml

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


with open(os.path.join(SOURCE, "CMakePresets.json")) as presets:
    PRESETS = {one["name"]: one for one in json.load(presets)["configurePresets"]}


def preset(name):
    """(folder, variables) of a configure preset, with what it inherits."""
    one = PRESETS[name]
    folder, variables = preset(one["inherits"]) if "inherits" in one else ("", {})
    folder = one.get("binaryDir", folder)
    return folder, {**variables, **one["cacheVariables"]}


class Build:
    """A preset's build folder, and which of its targets and tests are asked for."""

    def __init__(self, name, preset_name, targets=(), tests="", needs=()):
        self.name, self.preset, self.targets, self.tests, self.needs = name, preset_name, list(
            targets), tests, list(needs)
        folder, self.variables = preset(preset_name)
        self.folder = folder.replace("${sourceDir}/", "").replace("${presetName}", preset_name)
        self.compiler = self.variables["CMAKE_CXX_COMPILER"]


# What the thread sanitizer reads: plans, batches and states that threads share, and kernels that
# they run.
THREADED = [
    "test_threads", "test_backend_thrust", "test_bits", "test_reduce", "test_continuous_batch"
]

# ARM, cross-compiled and run by qemu: the bits that are pinned are the same there.
PINNED = ["test_noise", "test_bits", "test_laws", "test_orders"]
ARM = Build(
    "aarch64", "aarch64", targets=PINNED, tests=f"^unit[.]({'|'.join(PINNED)})$", needs=[
        "aarch64-linux-gnu-g++", "qemu-aarch64",
        "/usr/lib/aarch64-linux-gnu/libboost_unit_test_framework.so",
        "/usr/lib/aarch64-linux-gnu/libfmt.so", "/usr/lib/aarch64-linux-gnu/libz.so",
        "/usr/lib/aarch64-linux-gnu/libpng.so"
    ])


def builds(sanitize):
    """Under clang++ without LibTorch: Debian's is built with g++'s OpenMP, and two OpenMP runtimes
    in one process fight for the cores. The thread sanitizer goes over TBB and the serial system
    alone: libgomp is no friend of it."""
    gcc = Build("g++", "release")
    if not sanitize:
        return [gcc, Build("clang++", "clang"), ARM]
    return [
        gcc,
        Build("clang++", "clang-asan"),
        Build("g++ tsan", "tsan", targets=[t + end for t in THREADED for end in ("", ".cpp")],
              tests=f"^unit[.]({'|'.join(THREADED)})([.]cpp)?$"),
        Build("fuzz", "fuzz", targets=["fuzz"], tests="^fuzz[.]"),
    ]


def say(text):
    print(text, flush=True)


def test(one, args):
    build = os.path.join(SOURCE, one.folder)
    passed = failed = skipped = 0
    begin = time.time()

    missing = [n for n in one.needs if not (os.path.exists(n) or shutil.which(n))]
    if missing:
        say(f"== {one.name}: skipped, {', '.join(missing)} "
            f"{'was' if len(missing) == 1 else 'were'} not found"
            )
        return 0, 0, 1
    say(f"== {one.name}: configuring in {one.folder}/")
    werror = [] if "TWEEDIE_WERROR" in one.variables else [
        f"-DTWEEDIE_WERROR={'ON' if args.werror else 'OFF'}"
    ]
    configure = ["cmake", "-S", SOURCE, "--preset", one.preset, *werror]
    if subprocess.run(configure).returncode != 0:
        say(f"== {one.name}: cannot be configured")
        return 0, 1, 0
    say(f"== {one.name}: building")
    target = ["--target", *one.targets] if one.targets else []
    built = subprocess.run(
        ["cmake", "--build", build, "-j",
         str(args.jobs), *target, "--", "-k", "0"]).returncode == 0
    say(f"== {one.name}: built in {time.time() - begin:.0f} s" + ("" if built else ", with errors"))

    report = os.path.join(build, "tests.xml")
    if os.path.exists(report):
        os.remove(report)
    ctest = [
        "ctest", "--test-dir", build, "-j",
        str(args.jobs), "--output-on-failure", "--output-junit", report,
        "--test-output-size-passed", "1000000"
    ]
    if args.filter or one.tests:
        ctest += ["-R", args.filter or one.tests]
    subprocess.run(ctest)
    try:
        cases = xml.parse(report).getroot().findall("testcase")
    except (OSError, xml.ParseError):
        say(f"== {one.name}: no report from ctest")
        return 0, 1, 0
    reasons = {}
    for case in cases:
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif case.find("skipped") is not None:
            reason = case.find("skipped").get("message") or ""
            if reason == "SKIP_RETURN_CODE=77":
                skipped += 1
                output = (case.findtext("system-out") or
                          "").strip().splitlines() or ["no reason given"]
                reasons.setdefault(output[-1], []).append(case.get("name"))
            else:  # not run: its program was not built
                failed += 1
        else:
            passed += 1
        # What is not wrong and should be seen all the same: kernels that have other instructions
        # than recorded.
        for line in (case.findtext("system-out") or "").splitlines():
            if line.startswith("changed: "):
                say(f"== {case.get('name')}: {line}")
    for reason, names in reasons.items():
        say(f"== {reason}: {', '.join(names)}")
    # What does not build and has no test (a tool, a library) must not pass unseen.
    if not built and failed == 0:
        failed += 1
    say(f"== {one.name}: {passed} passed, {failed} failed, {skipped} skipped, "
        f"{time.time() - begin:.0f} s"
        )
    return passed, failed, skipped


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--werror", action="store_true", help="warnings are errors")
    parser.add_argument("--sanitize", action="store_true",
                        help="and the sanitizers, and the fuzzers")
    parser.add_argument("--compiler", choices=["g++", "clang++", "aarch64"], action="append",
                        help="default: each")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--filter", help="only the tests whose names match")
    args = parser.parse_args()

    passed = failed = skipped = 0
    for one in builds(args.sanitize):
        if args.compiler and one.name not in args.compiler:
            continue
        if args.filter and one is ARM:  # it has a few programs alone
            continue
        if not one.needs and not shutil.which(one.compiler):
            say(f"== {one.compiler}: not found (`make deps` installs it)")
            failed += 1
            continue
        p, f, s = test(one, args)
        passed, failed, skipped = passed + p, failed + f, skipped + s

    say(f"{passed + failed} tests ran")
    say(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    sys.exit(1 if failed else 0)


main()
