"""No line of code is longer than 100 columns; what can't be broken is said here."""

import pathlib
import re
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parents[2]
LONGEST = 100
# A sentence that a test expects, an address.
UNBROKEN = re.compile(r"^\s*(// expect[^:]*:|[#/* ]*\S*https?://)")


def main():
    listed = subprocess.run(["git", "-C", SOURCE, "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True)
    if listed.returncode != 0:
        print("skipped: this is no git checkout, whose files git lists")
        sys.exit(77)
    wrong = []
    for name in sorted(set(listed.stdout.split("\n"))):
        path = SOURCE / name
        if path.suffix not in (".hpp", ".cpp", ".cu", ".cuh") or not path.is_file():
            continue
        for number, line in enumerate(path.read_text().split("\n"), 1):
            if len(line) > LONGEST and not UNBROKEN.match(line):
                wrong.append(f"{name}:{number}: {len(line)} columns, expected {LONGEST} at most: {line.strip()[:60]}")
    print("\n".join(wrong) or f"no line has more than {LONGEST} columns")
    sys.exit(1 if wrong else 0)


main()
