"""Builds and tests under each compiler, and counts.

    cmake/test.py [--werror] [--compiler g++|clang++] [--jobs N] [--filter REGEX]

A file that does not build fails its own test and no other. The last line is `N passed, N failed`, with
`, N skipped` where some were. The exit code is 0 if all that ran passed.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as xml

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Under clang++ without LibTorch: Debian's is built with g++'s OpenMP, and two OpenMP runtimes in one process
# fight for the cores.
COMPILERS = {
    "g++": ("build", []),
    "clang++": ("build-clang", ["-DTWEEDIE_TORCH=OFF"]),
}


def say(text):
    print(text, flush=True)


def test(compiler, args):
    folder, options = COMPILERS[compiler]
    build = os.path.join(SOURCE, folder)
    passed = failed = skipped = 0
    begin = time.time()

    say(f"== {compiler}: configuring in {folder}/")
    configure = ["cmake", "-S", SOURCE, "-B", build, "-G", "Ninja", f"-DCMAKE_CXX_COMPILER={compiler}", "-DTWEEDIE_TESTS=ON",
                 f"-DTWEEDIE_WERROR={'ON' if args.werror else 'OFF'}", *options]
    if subprocess.run(configure).returncode != 0:
        say(f"== {compiler}: cannot be configured")
        return 0, 1, 0
    say(f"== {compiler}: building")
    built = subprocess.run(["cmake", "--build", build, "-j", str(args.jobs), "--", "-k", "0"]).returncode == 0
    say(f"== {compiler}: built in {time.time() - begin:.0f} s" + ("" if built else ", with errors"))

    report = os.path.join(build, "tests.xml")
    if os.path.exists(report):
        os.remove(report)
    ctest = ["ctest", "--test-dir", build, "-j", str(args.jobs), "--output-on-failure", "--output-junit", report]
    if args.filter:
        ctest += ["-R", args.filter]
    subprocess.run(ctest)
    try:
        cases = xml.parse(report).getroot().findall("testcase")
    except (OSError, xml.ParseError):
        say(f"== {compiler}: no report from ctest")
        return 0, 1, 0
    reasons = {}
    for case in cases:
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif case.find("skipped") is not None:
            reason = case.find("skipped").get("message") or ""
            if reason == "SKIP_RETURN_CODE=77":
                skipped += 1
                output = (case.findtext("system-out") or "").strip().splitlines() or ["no reason given"]
                reasons.setdefault(output[-1], []).append(case.get("name"))
            else:  # not run: its program was not built
                failed += 1
        else:
            passed += 1
    for reason, names in reasons.items():
        say(f"== {reason}: {', '.join(names)}")
    # What does not build and has no test (a tool, a library) must not pass unseen.
    if not built and failed == 0:
        failed += 1
    say(f"== {compiler}: {passed} passed, {failed} failed, {skipped} skipped, {time.time() - begin:.0f} s")
    return passed, failed, skipped


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--werror", action="store_true", help="warnings are errors")
    parser.add_argument("--compiler", choices=COMPILERS, action="append", help="default: each")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--filter", help="only the tests whose names match")
    args = parser.parse_args()

    passed = failed = skipped = 0
    for compiler in args.compiler or COMPILERS:
        if not shutil.which(compiler):
            say(f"== {compiler}: not found (`make deps` installs it)")
            failed += 1
            continue
        p, f, s = test(compiler, args)
        passed, failed, skipped = passed + p, failed + f, skipped + s

    say(f"{passed + failed} tests ran")
    say(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    sys.exit(1 if failed else 0)


main()
