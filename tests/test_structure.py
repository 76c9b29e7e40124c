"""The layout of `modest/`: layers, cycles, private names, folder sizes, and annotations."""

import ast
import graphlib
import pathlib
import tomllib

import pytest

from repository import ROOT

PACKAGE = ROOT / "modest"
MOST_FILES = 12  # per folder

# A module may import modules of its own line and of earlier lines. docs/design.md explains them.
LAYERS = [
    ["modest", "modest.constants", "modest.errors", "modest.types"],
    ["modest.ssim", "modest.losses", "modest.metrics", "modest.preprocess", "modest.augment"],
    ["modest.kernels.onednn"],
    ["modest.kernels"],
    ["modest.models"],
    ["modest.backend"],
    ["modest.run"],
    ["modest.data"],
    ["modest.data.synthetic"],
    ["modest.data.world"],
    ["modest.data.museum"],
    ["modest.data.recipe"],
    ["modest.data.batches"],
    ["modest.state"],
    ["modest.evaluation"],
    ["modest.training"],
    ["modest.inference"],
    ["modest.sweep"],
    ["modest.commands"],
    ["modest.__main__"],
]


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {module_name(path): ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")}


def imported_names(tree):
    """Yield every dotted name that a module imports, at its top or inside a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_modules(name):
    """Yield the modules of this package that a module imports."""
    for imported in imported_names(TREES[name]):
        if imported in TREES:
            yield imported
        elif imported.rpartition(".")[0] in TREES:
            yield imported.rpartition(".")[0]


def layer(name):
    """Return the number of the line in LAYERS with the longest name that contains the module."""
    while True:
        for number, line in enumerate(LAYERS):
            if name in line:
                return number
        name, _, rest = name.rpartition(".")
        assert rest, "every module is in a layer"


@pytest.mark.parametrize("name", sorted(TREES))
def test_no_upward_import(name):
    upward = [other for other in imported_modules(name) if layer(other) > layer(name)]
    assert not upward


def test_no_import_cycle():
    graph = {name: set(imported_modules(name)) - {name} for name in TREES}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError


@pytest.mark.parametrize("name", sorted(TREES))
def test_no_private_name_of_another_module(name):
    private = [
        imported
        for imported in imported_names(TREES[name])
        if any(part.startswith("_") and part != "__future__" for part in imported.split("."))
    ]
    assert not private


def test_folders_are_small():
    folders = [PACKAGE, *(path for path in PACKAGE.rglob("*") if path.is_dir())]
    files = {
        str(folder.relative_to(ROOT)): [path.name for path in folder.iterdir() if path.is_file()]
        for folder in folders
        if folder.name != "__pycache__"
    }
    assert {folder: names for folder, names in files.items() if len(names) > MOST_FILES} == {}


@pytest.mark.parametrize("name", sorted(TREES))
def test_every_module_begins_with_a_docstring(name):
    assert ast.get_docstring(TREES[name])


def test_wheel_holds_every_package():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    packages = {name for name in TREES if (PACKAGE.parent / name.replace(".", "/")).is_dir()}
    folders = {path.parent for path in (ROOT / "configs").rglob("*.py")}
    configs = {".".join(("modest", *folder.relative_to(ROOT).parts)) for folder in folders}
    assert set(listed) == packages | configs and len(listed) == len(set(listed))


def public_functions(tree):
    """Yield public functions, methods, and constructors of public classes."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node.name, node, False
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for method in node.body:
                if not isinstance(method, ast.FunctionDef):
                    continue
                if method.name == "__init__" or not method.name.startswith("_"):
                    yield f"{node.name}.{method.name}", method, True


@pytest.mark.parametrize("name", sorted(TREES))
def test_public_functions_are_annotated(name):
    incomplete = []
    for function, node, is_method in public_functions(TREES[name]):
        arguments = node.args.posonlyargs + node.args.args
        is_static = any(getattr(d, "id", "") == "staticmethod" for d in node.decorator_list)
        arguments = arguments[1:] if is_method and not is_static else arguments
        arguments += node.args.kwonlyargs
        arguments += [extra for extra in (node.args.vararg, node.args.kwarg) if extra]
        if node.returns is None or any(argument.annotation is None for argument in arguments):
            incomplete.append(function)
    assert not incomplete


def test_tests_follow_the_folders():
    folders = {path.relative_to(PACKAGE) for path in PACKAGE.rglob("*") if path.is_dir()}
    tested = {
        path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py")
    }
    assert tested - folders <= {pathlib.Path("."), pathlib.Path("benchmarks")}
