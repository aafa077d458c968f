"""The listings of a page of docs/ as one program, and what it prints held to the page.

    listings.py docs/noise.md --write noise.cpp            the program
    listings.py docs/noise.md --check build/docs_noise     runs it and compares
    listings.py docs/noise.md --fill build/docs_noise      writes what it prints into the page:
                                                           read the change

What a page's code blocks are:

    ```cpp    at namespace scope if it begins with #include, struct, template, namespace or inline
              (comments apart), else a part of main(); all in their order, each seeing those before
              it
    ```text   after a part of main(): what that part prints; a line of three dots stands for any
              lines. A line `// prints: 42` inside the part says the same of one line. A part with
              neither prints nothing
    ```toml, ```json   a recipe, which is parsed; one that begins with `# name.toml` is there as
              that file as well
    ```diff   a mistake and its mending, as in the file of tests/fail/ that its first line names
    > text    a sentence of the compiler's: a static_assert of the headers has it
    others    are shown only

A page with a ```diff block has one for every file in tests/fail/.
"""

import argparse
import glob
import os
import re
import subprocess
import sys

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GLOBAL = re.compile(r"\s*(#include|struct|template|namespace|inline)\b")
MARK = "\x1e"


class Block:
    def __init__(self, kind, line):
        self.kind, self.line, self.lines, self.prints, self.text_block = kind, line, [], None, None

    def text(self):
        return "\n".join(self.lines) + "\n"

    def is_global(self):
        code = (l for l in self.lines if l.strip() and not l.lstrip().startswith("//"))
        return bool(GLOBAL.match(next(code, "")))


def blocks_of(page):
    """The code blocks of a page; a part of main() knows what it prints."""
    blocks, open_block = [], None
    with open(page) as f:
        for number, line in enumerate(f.read().splitlines(), 1):
            if open_block:
                if line.startswith("```"):
                    open_block = None
                else:
                    open_block.lines.append(line)
            elif line.startswith("```"):
                open_block = Block(line[3:].strip(), number + 1)
                blocks.append(open_block)
    if open_block:
        sys.exit(f"{page}:{open_block.line}: a block that does not end")
    for before, block in zip([None, *blocks], blocks):
        if block.kind == "cpp" and not block.is_global():
            block.prints = [l.split("// prints: ", 1)[1] for l in block.lines if "// prints: " in l]
        if block.kind == "text":
            if before is None or before.kind == "sh":
                continue
            if before.prints is None or before.prints:
                sys.exit(f"{page}:{block.line}: a text that no part of main() before it prints")
            before.prints, before.text_block = block.lines, block
    return blocks


def program_of(page, blocks):
    name = os.path.relpath(page, SOURCE)
    scope, main, headers = [], [], {"cstdio"}
    for block in blocks:
        if block.kind == "cpp" and block.is_global():
            scope.append(f'#line {block.line} "{name}"\n{block.text()}')
        elif block.kind == "cpp":
            main.append(
                f'std::fputs("\\n{MARK}\\n", stdout);\n#line {block.line} "{name}"\n{block.text()}')
        elif block.kind in ("toml", "json"):
            headers |= {"tweedie/pipelines/ready/recipe.hpp"}
            main.append(f'(void)tweedie::ready::parse_recipe(R"listing({block.text()})listing", '
                        f'tweedie::ready::recipe_format::{block.kind}, "{name}:{block.line}");\n')
    includes = "".join(f"#include <{h}>\n" for h in sorted(headers))
    return (f"// Made of {name} by tests/docs/listings.py.\n{includes}{''.join(scope)}\nint main() "
            f"{{\n{''.join(main)}}}\n")


def matches(expected, given):
    """Whether lines are the expected ones, of which a line `...` is any number of lines."""
    if "..." not in expected:
        return expected == given
    at = expected.index("...")
    if given[:at] != expected[:at]:
        return False
    rest = expected[at + 1:]
    return any(matches(rest, given[i:]) for i in range(at, len(given) + 1))


def differences(blocks, program):
    """The parts of main() that print something else than the page says, each with its lines."""
    for block in blocks:
        named = re.match(r"# (\S+\.toml)$",
                         block.lines[0]) if block.kind == "toml" and block.lines else None
        if named:
            with open(named.group(1), "w") as f:
                f.write(block.text())
    run = subprocess.run([program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if run.returncode != 0:
        sys.exit(
            f"{program}: the listings end with exit code {run.returncode}:\n{run.stdout[-2000:]}")
    printed = run.stdout.split(f"\n{MARK}\n")[1:]
    parts = [block for block in blocks if block.prints is not None]
    if len(printed) != len(parts):
        sys.exit(
            f"{program}: it has {len(printed)} parts and the page {len(parts)}; build it again")
    for block, text in zip(parts, printed):
        given = [l.rstrip() for l in text.splitlines()]
        if not matches(block.prints, given):
            yield block, given


def check_output(page, blocks, program):
    wrong = 0
    for block, given in differences(blocks, program):
        wrong += 1
        expected, got = ("".join(f"    {l}\n" for l in lines) or "    nothing\n"
                         for lines in (block.prints, given))
        print(f"{page}:{block.line}: this listing prints\n{got}  and the page says\n{expected}")
    return wrong


def fill(page, blocks, program):
    with open(page) as f:
        lines = f.read().splitlines()
    for block, given in reversed(list(differences(blocks, program))):
        if not block.text_block:
            print(f"{page}:{block.line}: left alone, what it prints is said in comments: {given}")
            continue
        first = block.text_block.line - 1
        lines[first:first + len(block.text_block.lines)] = given
    with open(page, "w") as f:
        f.write("\n".join(lines) + "\n")


def squeezed(text):
    return re.sub(r"\s+", "", text)


def check_mistakes(page, blocks):
    """Holds the mistakes of a page to tests/fail/, and its sentences to the headers."""
    wrong = []
    with open(page) as f:
        text = f.read()
    quoted = " ".join(" ".join(l[2:] for l in text.splitlines() if l.startswith("> ")).split())
    shown = set()
    for block in blocks:
        if block.kind != "diff":
            continue
        name = block.lines[0].replace("//", "").strip()
        shown.add(name)
        if not os.path.exists(os.path.join(SOURCE, name)):
            wrong.append(f"{page}:{block.line}: there is no {name}")
            continue
        with open(os.path.join(SOURCE, name)) as f:
            source = f.read()
        expected = re.search(r"//\s*expect:\s*(.+?)\s*$", source,
                             re.M)  # none: the sentence is the compiler's own
        if expected and expected.group(1) not in quoted:
            wrong.append(
                f"{page}:{block.line}: the sentence of {name} is on no line that begins with >: "
                f"{expected.group(1)}"
            )
        # With and without the mistake, as the preprocessor reads it.
        for sign, unwanted in (("-", r"#ifndef MISTAKE\n.*?#endif|#else\n.*?#endif"),
                               ("+", r"#ifdef MISTAKE\n.*?(?:#else|#endif)")):
            kept = squeezed(re.sub(unwanted, "", source, flags=re.S))
            lines = squeezed("".join(l[1:] for l in block.lines if l.startswith(sign)))
            if lines not in kept:
                wrong.append(f"{page}:{block.line}: the lines with {sign} are not in {name}")
    if shown:
        for path in sorted(glob.glob(os.path.join(SOURCE, "tests/fail/*.cpp"))):
            name = os.path.relpath(path, SOURCE)
            if name not in shown:
                wrong.append(
                    f"{page}: {name} is not on this page; show its mistake in a diff block")

    sentences = set()
    for folder in ("dsl", "schedules", "networks", "samplers", "pipelines"):
        for path in glob.glob(os.path.join(SOURCE, folder, "**/*.hpp"), recursive=True):
            with open(path) as f:
                for literals in re.findall(r'(?:"(?:[^"\\]|\\.)*"\s*)+\);', f.read()):
                    sentences.add("".join(re.findall(r'"((?:[^"\\]|\\.)*)"', literals)))
    for quote in re.findall(r"(?:^> .*\n)+", text, re.M):
        one = " ".join(re.sub(r"^> ", "", quote, flags=re.M).split())
        if one not in sentences:
            wrong.append(f"{page}: no static_assert says: {one}")
    for line in wrong:
        print(line)
    return len(wrong)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("page")
    parser.add_argument("--write")
    parser.add_argument("--check")
    parser.add_argument("--fill")
    args = parser.parse_args()
    page = os.path.abspath(args.page)
    blocks = blocks_of(page)
    if args.write:
        with open(args.write, "w") as f:
            f.write(program_of(page, blocks))
    if args.fill:
        fill(page, blocks, args.fill)
    if args.check:
        wrong = check_output(args.page, blocks, args.check) + check_mistakes(args.page, blocks)
        if wrong:
            sys.exit(f"{args.page}: {wrong} places where page and program differ")


main()
