"""What the folders promise: a test file of its name for each module, and no function with a crowd of arguments."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "featmatch").rglob("*.py"))
MODULES = [path for path in SOURCES if not path.stem.startswith("__")]

# Nothing but a docstring and fields.
WITHOUT_CODE = {"store/info.py"}

# Their signatures are public, and every argument but the first goes by its name.
FACADE = {
    "Index.add", "Index.add_images", "Queryable.query", "Queryable.query_many", "Features.from_arrays", "verify",
}  # fmt: skip


def test_each_module_has_a_test_file_of_its_name() -> None:
    modules = [path.relative_to(ROOT / "featmatch") for path in MODULES]
    tested = {path for path in modules if (ROOT / "tests" / path.parent / f"test_{path.name}").exists()}
    assert len(tested) > 200
    assert {str(path) for path in modules if path not in tested} == WITHOUT_CODE


def functions(tree: ast.AST, within: str = "") -> list[tuple[str, ast.FunctionDef]]:
    found = []
    for node in ast.iter_child_nodes(tree):
        name = f"{within}{node.name}" if isinstance(node, (ast.ClassDef, ast.FunctionDef)) else ""
        if isinstance(node, ast.FunctionDef):
            found.append((name, node))
        found += functions(node, f"{name}." if name else within)
    return found


def test_no_function_but_a_command_takes_more_than_seven_arguments() -> None:
    taken = {}
    for path in SOURCES:
        if path.parent.name == "cli":
            continue
        for name, function in functions(ast.parse(path.read_text(encoding="utf-8"))):
            given = [one.arg for one in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
            taken[path.name, name] = len([one for one in given if one not in ("self", "cls")])
    assert len(taken) > 1000
    assert {name for (_, name), count in taken.items() if count > 7} <= FACADE
