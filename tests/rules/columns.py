"""No line of C++ and of Python, and of the pages no line of text, is longer than 100 columns; what
can't be broken is said here."""

import ast
import re
import sys

from _files import SOURCE, cpp_files, pages, python_files

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


def code_of(name):
    """(number, line) of a file of C++, or of one of Python outside of the texts that it writes."""
    text = (SOURCE / name).read_text()
    written = set()
    if name.endswith(".py"):
        tree = ast.parse(text)
        comments = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
        for n in ast.walk(tree):
            if isinstance(n, (ast.Constant, ast.JoinedStr)) and id(n) not in comments:
                if n.end_lineno > n.lineno:
                    written.update(range(n.lineno, n.end_lineno + 1))
    for number, line in enumerate(text.split("\n"), 1):
        if number not in written and not UNBROKEN.match(line):
            yield number, line


def main():
    lines = [(name, *line) for name in pages() if name not in WRITTEN for line in text_of(name)]
    lines += [(name, *line) for name in cpp_files() + python_files() for line in code_of(name)]
    wrong = [f"{name}:{number}: {len(line)} columns, expected {LONGEST} at most: "
             f"{line.strip()[:60]}" for name, number, line in lines if len(line) > LONGEST]
    print("\n".join(wrong) or f"no line has more than {LONGEST} columns")
    sys.exit(1 if wrong else 0)


main()
