"""Builds the wheel of a module that CMake has built, installs it into a folder of its own, and runs
the tests there.

--peers PYTHON (usually .deps/peers/bin/python) runs those that need torch and diffusers besides.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parents[1]

# pytest and doctest come from the system, behind what the interpreter has of its own.
TESTED = """
import sys
sys.path.insert(0, sys.argv[1])
sys.path.append("/usr/lib/python3/dist-packages")
import pytest
sys.exit(pytest.main(sys.argv[2:]))
"""


def run(*command, **more):
    print("+", *[str(c) if "\n" not in str(c) else "..." for c in command], flush=True)
    done = subprocess.run([str(c) for c in command], **more)
    if done.returncode:
        sys.exit(done.returncode)


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument(
        "--python", required=True, help="an interpreter with scikit-build-core, NumPy and pytest"
    )
    options.add_argument("--module", required=True, help="the folder of _core")
    options.add_argument(
        "--folder", required=True, type=pathlib.Path, help="what is made goes there"
    )
    options.add_argument("--peers", help="an interpreter with torch and diffusers")
    given = options.parse_args()
    given.python = os.path.abspath(given.python)  # not resolved: an environment is where it lies
    given.peers = given.peers and os.path.abspath(given.peers)
    there = subprocess.run(
        [given.python, "-c", "import numpy, pytest, scikit_build_core"], capture_output=True
    )
    if there.returncode:
        print("skipped: NumPy, pytest or scikit-build-core was not found (make deps)")
        sys.exit(77)

    folder = given.folder.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    pip = [given.python, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]
    run(*pip, "wheel", SOURCE, "--no-deps", "--no-build-isolation", "--no-index", "-w", folder,
        "--config-settings", f"cmake.define.TWEEDIE_PYTHON_BUILT={given.module}")  # fmt: skip
    (wheel,) = folder.glob("*.whl")
    site = folder / "site"
    run(*pip, "install", "--no-deps", "--no-index", "--target", site, wheel)
    engine = "libtweedie_openvino.so"
    has_engine = (pathlib.Path(given.module) / engine).exists()
    for name in ("py.typed", "_core.pyi", "__init__.py", "diffusers.py", *[engine] * has_engine):
        if not (site / "tweedie" / name).exists():
            sys.exit(f"the wheel lacks tweedie/{name}")

    run(given.python, "-m", "compileall", "-q", site / "tweedie")  # also what needs torch
    flags = ["-q", "-p", "no:cacheprovider", "-W", "ignore::DeprecationWarning"]
    run(given.python, "-B", "-c", TESTED, site, *flags, "-rs", HERE, cwd=folder)
    documented = [SOURCE / "docs/python.md", site / "tweedie/__init__.py"]
    doctests = [
        "--doctest-glob=*.md",
        "--doctest-modules",
        "--ignore",
        site / "tweedie/diffusers.py",
    ]
    run(given.python, "-B", "-c", TESTED, site, *flags, *doctests, *documented, cwd=folder)
    if has_engine:  # it names a shipped model
        page = SOURCE / "docs/networks_from_files.md"
        run(given.python, "-B", "-c", TESTED, site, *flags, doctests[0], page, cwd=SOURCE)
    smoke = {"PYTHONPATH": str(site), "TWEEDIE_SMOKE": "1", "PATH": ""}
    for example in sorted((SOURCE / "examples/python").glob("*.py")):
        if example.name == "ctypes_loop.py":  # over libtweedie.so: a test of its own
            continue
        run(given.python, "-B", example, cwd=folder, env=smoke)
    run(given.python, "-B", HERE / "notebook.py", cwd=folder, env=smoke)
    if given.peers and pathlib.Path(given.peers).exists():
        run(
            given.peers,
            "-B",
            "-c",
            TESTED,
            site,
            *flags,
            HERE / "test_torch.py",
            HERE / "test_diffusers.py",
            HERE / "test_diffusers_suite.py",
            cwd=folder,
        )
    else:
        print("left out: beside diffusers itself (cmake/bootstrap.sh peers)")


if __name__ == "__main__":
    main()
