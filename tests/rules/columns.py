"""No line of C++, and of the pages no line of text, is longer than 100 columns; what can't be broken is said here."""

import re
import sys

from _files import SOURCE, cpp_files, pages

LONGEST = 100
# A sentence that a test expects, an address.
UNBROKEN = re.compile(r"^\s*(// expect[^:]*:|[#/* ]*\S*https?://)")

# Pages that programs of the project write.
WRITTEN = ["docs/methods.md", "docs/peers.md", "docs/product.md"]
# A row of a table, a sentence as it is printed, what is printed or typed.
WHOLE = re.compile(r"^(\s*\||>|    )")


def text_of(name):
    """(number, line) of a page outside of its listings."""
    listing = False
    for number, line in enumerate((SOURCE / name).read_text().split("\n"), 1):
        if line.lstrip().startswith("```"):
            listing = not listing
        elif not listing and not WHOLE.match(line):
            yield number, line


def main():
    wrong = []
    for name in pages():
        for number, line in text_of(name) if name not in WRITTEN else []:
            if len(line) > LONGEST:
                wrong.append(f"{name}:{number}: {len(line)} columns, expected {LONGEST} at most: {line[:60]}")
    for name in cpp_files():
        for number, line in enumerate((SOURCE / name).read_text().split("\n"), 1):
            if len(line) > LONGEST and not UNBROKEN.match(line):
                wrong.append(f"{name}:{number}: {len(line)} columns, expected {LONGEST} at most: {line.strip()[:60]}")
    print("\n".join(wrong) or f"no line has more than {LONGEST} columns")
    sys.exit(1 if wrong else 0)


main()
