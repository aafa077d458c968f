"""A wrong composition stops at one sentence.

The source compiles as it stands: the twin, so that a typo cannot pass for the mistake. With -DMISTAKE the first line
that has `error:` holds the sentence of its `// expect:` comment, and no other line has `error:`.

Flags come from compile_commands.json. Exit code 77: skipped.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile


def flags_of(commands, source):
    with open(commands) as f:
        for entry in json.load(f):
            if os.path.realpath(entry["file"]) == os.path.realpath(source):
                words = shlex.split(entry["command"])
                break
        else:
            sys.exit(f"{source} is not in {commands}: configure again")
    if os.path.basename(words[0]) == "ccache":
        del words[0]
    output = words.index("-o")
    del words[output:output + 2]
    return [w for w in words if w != "-c" and os.path.realpath(w) != os.path.realpath(source)]


def nvcc_flags(words):
    """What nvcc shares with the host compiler: folders and macros, but for Thrust's systems."""
    kept, i = [], 0
    while i < len(words):
        w = words[i]
        if w == "-isystem":
            # nvcc brings its own Thrust, and warns about nothing in a folder given so
            if not os.path.exists(os.path.join(words[i + 1], "thrust")):
                kept += words[i:i + 2]
            i += 1
        elif re.match(r"-I|-D(?!THRUST_)", w):
            kept.append(w)
        i += 1
    return kept


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--commands", required=True)
    parser.add_argument("--nvcc", action="store_true")
    parser.add_argument("source")
    args = parser.parse_args()

    with open(args.source) as f:
        expected = re.findall(r"//\s*expect:\s*(.+?)\s*$", f.read(), re.M)
    if len(expected) != 1:
        sys.exit(f"{args.source}: one comment `// expect: <sentence>` is needed, {len(expected)} found")

    command = flags_of(args.commands, args.source)
    if args.nvcc:
        nvcc = shutil.which("nvcc") or shutil.which("/usr/local/cuda/bin/nvcc")
        if not nvcc:
            print("skipped: nvcc was not found")
            sys.exit(77)
        command = [nvcc, "-std=c++20", "-x", "cu", "-ptx", "-arch=compute_75", "-DFMT_USE_CONSTEXPR=1"]
        # Not /dev/null: nvcc deletes its output when it fails.
        folder = tempfile.TemporaryDirectory()
        command += ["-o", os.path.join(folder.name, "out.ptx")]
        command += nvcc_flags(flags_of(args.commands, args.source))
    else:
        command += ["-fsyntax-only", "-fdiagnostics-color=never"]

    def compile_it(*more):
        run = subprocess.run([*command, *more, args.source], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, env={**os.environ, "LC_ALL": "C"})
        return run.returncode, run.stdout

    code, text = compile_it()
    if code != 0:
        sys.exit(f"{text}\nthe twin without the mistake does not compile")

    code, text = compile_it("-DMISTAKE")
    errors = [line for line in text.splitlines() if re.search(r"\berror:", line)]
    if code == 0 or not errors:
        sys.exit(f"{text}\nthe mistake compiles; expected: {expected[0]}")
    if expected[0] not in errors[0]:
        sys.exit(f"{text}\nthe first error is\n  {errors[0]}\nexpected\n  {expected[0]}")
    if len(errors) != 1:
        sys.exit(f"{text}\n{len(errors)} errors instead of one:\n  " + "\n  ".join(errors))
    print(errors[0])


main()
