"""A sampler is one header and one test: the build finds both, and gives it its name.

    new_sampler.py --build FOLDER

Copies the project into a folder of its own, adds the two files there, configures, with FOLDER's
compiler, and asks what came of it. Exit code 77: skipped.
"""

import argparse
import json
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

from _files import SOURCE, files

HEADER = """// A sampler that a test adds: Song et al. 2021, DDIM, eq. 12 at eta = 0.
//
// name: added_by_a_test = added_by_a_test{} | Added by a test
#pragma once

#include <tweedie/dsl/language/stage.hpp>
#include <tweedie/dsl/language/statement.hpp>

namespace tweedie::samplers {

using namespace symbols;

struct added_by_a_test {
  using kind = kinds::sampler;
  static constexpr char const* name = "samplers::added_by_a_test";
  auto step(level, level s) const { return tweedie::step(x = s.alpha * x0 + s.sigma * eps); }
};

}  // namespace tweedie::samplers
"""
TEST = """#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <tweedie/pipelines/ready/stages.hpp>
#include <tweedie/tweedie.hpp>

using namespace tweedie;

BOOST_AUTO_TEST_CASE(it_has_its_name) {
  auto const chosen = ready::choose("sampler", "added_by_a_test", ready::samplers);
  BOOST_TEST(std::holds_alternative<samplers::added_by_a_test>(chosen));
}
"""


def run(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, **more)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    args = parser.parse_args()
    cache = pathlib.Path(args.build, "CMakeCache.txt").read_text()
    compiler = re.search(r"^CMAKE_CXX_COMPILER:\w+=(.*)$", cache, re.M).group(1)
    system = set(
        re.findall(r"-isystem (\S+)",
                   pathlib.Path(args.build, "compile_commands.json").read_text()))
    cccl = next((one for one in system if pathlib.Path(one, "thrust").is_dir()), None)
    if not cccl:
        print(f"skipped: no source in {args.build} is compiled with Thrust's headers")
        sys.exit(77)

    with tempfile.TemporaryDirectory() as folder:
        tree = pathlib.Path(folder, "tree")
        for name in files(""):
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(SOURCE / name, tree / name)
        git = ["git", "-C", tree, "-c", "user.name=test", "-c", "user.email=test"]
        run("git", "init", "-q", tree)
        run(*git, "add", "-A")
        run(*git, "commit", "-q", "-m", "before")

        header, test = "samplers/added_by_a_test.hpp", "tests/unit/test_added_by_a_test.cpp"
        (tree / header).write_text(HEADER)
        (tree / test).write_text(TEST)
        build = tree / "build"
        run("cmake", "-S", tree, "-B", build, "-G", "Ninja", f"-DCMAKE_CXX_COMPILER={compiler}",
            f"-DTWEEDIE_CCCL_DIR={cccl}", "-DTWEEDIE_TORCH=OFF", "-DTWEEDIE_CUDA=OFF",
            "-DTWEEDIE_EXAMPLES=OFF", "-DTWEEDIE_BENCH=OFF", "-DTWEEDIE_EVERY_BACKEND=OFF")

        changed = sorted(line[3:] for line in run(*git, "status", "--porcelain").splitlines())
        assert changed == sorted([header,
                                  test]), f"git status says {changed}; expected the two new files"
        rows = (build / "generated/sampler_rows.inc").read_text()
        assert "  // Added by a test | added_by_a_test\n" in rows, rows

        # The test is a target, and compiles: the name is in the list behind --sampler and recipes.
        for entry in json.loads((build / "compile_commands.json").read_text()):
            if entry["file"].endswith(test):
                words, kept = iter(shlex.split(entry["command"])), []
                for word in words:
                    if word in ("-o", "-include"):
                        next(words)
                    elif word not in ("-c", "-Winvalid-pch") and not word.endswith("ccache"):
                        kept.append(word)
                run(*kept, "-O0", "-fsyntax-only", cwd=entry["directory"])
                print("one header and one test, and git status says no more")
                return
        sys.exit(f"{test} is no target")


main()
