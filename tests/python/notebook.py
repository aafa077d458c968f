"""Runs the code of docs/notebook.ipynb, cell by cell in one namespace, and holds what it prints to
what the file says. --write puts what it prints and draws into the file.

It stands in for nbclient, whose kernel is a server: there is nothing here that needs one.
"""

import argparse
import ast
import base64
import contextlib
import io
import json
import os
import pathlib
import sys

NOTEBOOK = pathlib.Path(__file__).resolve().parents[2] / "docs/notebook.ipynb"


def run(source, names):
    """What a cell prints, with the value of its last expression as a notebook shows it."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "a cell", "exec"), names)
        if last is not None and not source.rstrip().endswith(";"):
            value = eval(compile(ast.Expression(last.value), "a cell", "eval"), names)
            if value is not None:
                print(repr(value))
    return printed.getvalue()


def figures(pyplot):
    """Those that are open, as PNG; they are closed."""
    drawn = []
    for number in pyplot.get_fignums():
        data = io.BytesIO()
        # Without the name and version of who wrote it.
        pyplot.figure(number).savefig(data, format="png", metadata={"Software": None})
        drawn.append(data.getvalue())
    pyplot.close("all")
    return drawn


def lines(text):
    return text.splitlines(keepends=True)


def outputs(text, drawn):
    r = []
    if text:
        r.append({"output_type": "stream", "name": "stdout", "text": lines(text)})
    for png in drawn:
        data = {"image/png": base64.b64encode(png).decode(), "text/plain": ["<Figure>"]}
        r.append({"output_type": "display_data", "data": data, "metadata": {}})
    return r


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--write", action="store_true")
    given = options.parse_args()
    try:
        import matplotlib
    except ImportError:
        print("the notebook was left out: matplotlib was not found (make deps)")
        return
    matplotlib.use("agg")
    from matplotlib import pyplot

    from tweedie import _core

    if not _core.openvino_version:
        print("the notebook was left out: built without OpenVINO")
        return
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    os.chdir(NOTEBOOK.parent)  # where a notebook runs
    names, wrong, count = {"__name__": "__main__"}, 0, 0
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        count += 1
        text, drawn = run("".join(cell["source"]), names), figures(pyplot)
        of_file = [o for o in cell["outputs"] if o["output_type"] == "stream"]
        said = "".join("".join(o["text"]) for o in of_file)
        pictures = len(cell["outputs"]) - len(of_file)
        if given.write:
            cell["outputs"], cell["execution_count"] = outputs(text, drawn), count
        elif text != said or pictures != len(drawn):
            wrong += 1
            print(f"cell {count} draws {len(drawn)} and prints:\n{text}")
            print(f"expected {pictures} and:\n{said}")
    if given.write:
        text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
        part = NOTEBOOK.with_suffix(".part")
        part.write_text(text, encoding="utf-8")
        part.replace(NOTEBOOK)
    print(f"{NOTEBOOK.name}: {count} cells, {wrong} wrong")
    sys.exit(wrong != 0)


if __name__ == "__main__":
    main()
