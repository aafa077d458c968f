"""No line of C++ is longer than 100 columns; what can't be broken is said here."""

import re
import sys

from _files import SOURCE, cpp_files

LONGEST = 100
# A sentence that a test expects, an address.
UNBROKEN = re.compile(r"^\s*(// expect[^:]*:|[#/* ]*\S*https?://)")


def main():
    wrong = []
    for name in cpp_files():
        for number, line in enumerate((SOURCE / name).read_text().split("\n"), 1):
            if len(line) > LONGEST and not UNBROKEN.match(line):
                wrong.append(f"{name}:{number}: {len(line)} columns, expected {LONGEST} at most: {line.strip()[:60]}")
    print("\n".join(wrong) or f"no line has more than {LONGEST} columns")
    sys.exit(1 if wrong else 0)


main()
