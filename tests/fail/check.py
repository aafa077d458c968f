"""A wrong composition stops at one sentence.

    check.py --commands FILE SOURCE
        with -DMISTAKE the first line that has `error:` holds the sentence of the source's
        `// expect:` comment, and no other line has `error:`; where the sentence is the compiler's
        own, `// expect g++:`, `clang++:` and `nvcc:`; `// nvcc -c` if only nvcc's host compiler
        says it
    check.py --commands FILE --twins SOURCE...
        without it all sources compile, in one go, each in a namespace of its own: the twins, so
        that a typo cannot pass for a mistake

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


def all_twins(sources):
    """Their headers, and then each in a namespace, where including a header again does nothing."""
    headers, bodies = [], ""
    for source in sources:
        with open(source) as f:
            headers += re.findall(r"^#include .+$", f.read(), re.M)
        name = os.path.splitext(os.path.basename(source))[0]
        bodies += f'namespace twin_{name} {{\n#include "{os.path.abspath(source)}"\n}}\n'
    return "\n".join(dict.fromkeys(headers)) + "\n" + bodies


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--commands", required=True)
    parser.add_argument("--nvcc", action="store_true")
    parser.add_argument("--twins", action="store_true")
    parser.add_argument("sources", nargs="+")
    args = parser.parse_args()
    source = args.sources[0]

    command = flags_of(args.commands, source)
    if args.nvcc:
        nvcc = shutil.which("nvcc") or shutil.which("/usr/local/cuda/bin/nvcc")
        if not nvcc:
            print("skipped: nvcc was not found")
            sys.exit(77)
        with open(source) as f:
            output = "-c" if re.search(r"^// nvcc -c\b", f.read(), re.M) else "-ptx"
        command = [
            nvcc, "-std=c++20", "-x", "cu", output, "-arch=compute_75", "-DFMT_USE_CONSTEXPR=1"
        ]
        # Not /dev/null: nvcc deletes its output when it fails.
        folder = tempfile.TemporaryDirectory()
        command += ["-o", os.path.join(folder.name, "out")]
        command += nvcc_flags(flags_of(args.commands, source))
    else:
        command += ["-fsyntax-only", "-fdiagnostics-color=never"]

    def compile_it(*more):
        run = subprocess.run([*command, *more], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             text=True, env={
                                 **os.environ, "LC_ALL": "C"
                             })
        return run.returncode, run.stdout

    if args.twins:
        with tempfile.TemporaryDirectory() as all_in:
            path = os.path.join(all_in, "twins.cpp")
            with open(path, "w") as f:
                f.write(all_twins(args.sources))
            code, text = compile_it(path)
        if code != 0:
            sys.exit(f"{text}\na twin without its mistake does not compile")
        print(f"{len(args.sources)} twins compile")
        return

    compiler = "nvcc" if args.nvcc else "clang++" if "clang" in os.path.basename(
        command[0]) else "g++"
    with open(source) as f:
        expected = re.findall(rf"//\s*expect(?: {re.escape(compiler)})?:\s*(.+?)\s*$", f.read(),
                              re.M)
    if len(expected) != 1:
        sys.exit(f"{source}: one comment `// expect: <sentence>` is needed, {len(expected)} found")
    code, text = compile_it("-DMISTAKE", source)
    errors = [line for line in text.splitlines() if re.search(r"\berror:", line)]
    if code == 0 or not errors:
        sys.exit(f"{text}\nthe mistake compiles; expected: {expected[0]}")
    if expected[0] not in errors[0]:
        sys.exit(f"{text}\nthe first error is\n  {errors[0]}\nexpected\n  {expected[0]}")
    # After an error of its own a compiler may go on.
    with open(source) as f:
        expected += re.findall(rf"//\s*and {re.escape(compiler)}:\s*(.+?)\s*$", f.read(), re.M)
    if len(errors) != len(expected) or not all(e in given for e, given in zip(expected, errors)):
        sys.exit(f"{text}\n{len(errors)} errors instead of {len(expected)}:\n  " +
                 "\n  ".join(errors))
    print(errors[0])


main()
