"""Each header compiles alone, and twice: it includes what it needs and has its guard.

    headers.py --build FOLDER

Flags are those of a unit test in FOLDER/compile_commands.json, without its precompiled header.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import shlex
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = [
    "dsl", "guidances", "io", "networks", "pipelines", "predicts", "samplers", "schedules",
    "thresholds"
]
# What belongs to one compiler, or is a part of one file.
APART = {
    "dsl/device/backends/cuda.hpp": "for nvcc: tests/cuda compiles it",
    "dsl/device/on_device.hpp": "for nvcc: tests/cuda compiles it",
    "dsl/kernel/noise_fill.hpp": "a part of noise_avx2.cpp and noise_avx512.cpp",
    "networks/unet_body.hpp": "a part of the U-Net's source files",
}


def flags_of(commands):
    with open(commands) as f:
        for entry in json.load(f):
            if entry["file"].endswith("/tests/unit/test_form.cpp"):
                words, kept, i = shlex.split(entry["command"]), [], 0
                while i < len(words):
                    if words[i] in ("-o", "-include", "-c", "-Xclang"):
                        i += 1 if words[i] == "-c" else 2
                    elif words[i] == entry["file"] or words[i] == "-Winvalid-pch" or words[
                            i].endswith("ccache"):
                        i += 1
                    else:
                        kept.append(words[i])
                        i += 1
                return kept, entry["directory"]
    sys.exit(f"test_form.cpp is not in {commands}: configure again")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    args = parser.parse_args()
    flags, folder = flags_of(os.path.join(args.build, "compile_commands.json"))
    headers = [
        p.relative_to(SOURCE).as_posix() for f in FOLDERS
        for p in sorted((SOURCE / f).rglob("*.hpp"))
    ]
    for name in APART:
        assert name in headers, f"{name} is not there any more"

    def compiled(name):
        text = f"#include <tweedie/{name}>\n#include <tweedie/{name}>\n"
        return name, subprocess.run([*flags, "-O0", "-fsyntax-only", "-x", "c++", "-"], input=text,
                                    cwd=folder, capture_output=True, text=True)

    wrong = 0
    with concurrent.futures.ThreadPoolExecutor(max(1, len(os.sched_getaffinity(0)))) as pool:
        for name, done in pool.map(compiled, [h for h in headers if h not in APART]):
            if done.returncode != 0:
                wrong += 1
                first = next((l for l in done.stderr.split("\n") if "error" in l),
                             done.stderr[:300])
                print(f"{name} does not compile alone: {first}")
    print(f"{len(headers) - len(APART)} headers, {wrong} that need another before them")
    sys.exit(1 if wrong else 0)


main()
