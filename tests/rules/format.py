"""Every C++ file is as clang-format 14 writes it, by the rules in .clang-format."""

import re
import shutil
import subprocess
import sys

from _files import SOURCE, cpp_files

VERSION = "14"  # others break some lines elsewhere


def main():
    formatter = shutil.which("clang-format-" + VERSION) or shutil.which("clang-format")
    said = subprocess.run([formatter, "--version"], capture_output=True,
                          text=True).stdout if formatter else ""
    if not re.search(rf"version {VERSION}\.", said):
        print(f"skipped: clang-format {VERSION} was not found")
        sys.exit(77)
    names = cpp_files()
    done = subprocess.run([formatter, "--dry-run", "-Werror", *names], cwd=SOURCE,
                          capture_output=True, text=True)
    wrong = sorted(
        set(re.findall(r"^(\S+?):\d+:\d+: error: code should be clang-formatted", done.stderr,
                       re.M)))
    for name in wrong:
        print(f"{name}: is not as clang-format {VERSION} writes it: clang-format -i {name}")
    if done.returncode != 0 and not wrong:
        print(done.stderr)
    print(f"{len(names)} files, {len(wrong)} to be formatted")
    sys.exit(1 if done.returncode else 0)


main()
