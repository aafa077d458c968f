"""A header as Doxygen shall read it: `reference.py FILE` writes it to the output, line by line.

The comment at its head, which Doxygen would pass over, becomes the file's description: indented
lines are formulas and stay as they are. In all comments < > @ and # are the text's own, no tags and
commands, and the dot of "et al." ends no brief description; what is in backticks is left alone.
"""

import re
import sys


class prose:
    """Escapes comment after comment; a pair of backticks may begin in one line and end in the
    next."""

    def __init__(self):
        self.code = False

    def __call__(self, text):
        parts = []
        for i, part in enumerate(text.split("`")):
            if i:
                self.code = not self.code
            if not self.code:
                part = re.sub(r"(?<!\\)([<>@#])", r"\\\1", part)
                part = re.sub(r"\b(al|eqs?)\.( |$)", r"\1.\\ ", part)
            parts.append(part)
        return "`".join(parts)


def head_of(lines):
    """The description made of the lines of a head, as many lines and one before it."""
    escape = prose()
    text = [
        l[2:] if l.startswith("//   ") and l.strip("/ ") else escape(l[2:].strip()) for l in lines
    ]
    return [
        "/// \\file",
        *("///  " + t if t.startswith("   ") else "/// " + t if t else "///" for t in text)
    ]


def main():
    with open(sys.argv[1]) as f:
        lines = f.read().split("\n")
    count = next((i for i, l in enumerate(lines) if not l.startswith("//") or l.startswith("///")),
                 0)
    rest = lines[count:]
    if count:
        lines[:count] = head_of(lines[:count])
        if rest and rest[0] == "#pragma once":  # makes place for the line more
            del rest[0]
    escape = prose()
    # a specialization of another library's template, whose scope Doxygen does not know
    foreign = False
    for i, line in enumerate(rest):
        foreign = foreign or bool(re.match(r"template <.*> struct fmt::", line))
        if foreign:
            rest[i], foreign = "", line != "};"
            continue
        at = re.search(r"///<?", line)
        if at:
            rest[i] = line[:at.end()] + escape(line[at.end():])
        else:
            escape = prose()
    sys.stdout.write("\n".join(lines[:count + 1 if count else 0] + rest))


main()
