"""The rules of the house, kept by reading the source."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tokenexit.extras import LIBRARIES

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "tokenexit"
SOURCES = sorted(PACKAGE.rglob("*.py"))
SCRIPTS = sorted(
    path
    for name in ("benchmarks", "data_scripts", "recipes")
    for path in ROOT.glob(f"{name}/**/*.py")
)

# Lowest first. A unit (a package or a single module) imports itself and lower floors only.
FLOORS = (
    ("errors", "renamed", "units"),
    ("extras",),
    ("config", "files", "kernels", "registry"),
    ("metrics",),
    ("signals", "scores", "transfer", "wording", "demo"),
    ("guarantees", "policies", "gates", "scorers", "precision", "oracle", "promises", "widths"),
    ("context", "embeddings", "reducers", "results", "selectors"),
    ("heads",),
    ("objectives", "methods"),
    ("backbones",),
    ("decoders",),
    ("halting",),
    ("static",),
    ("data", "decoding"),
    ("tasks",),
    ("models",),
    ("evaluation",),
    ("audit", "calibration", "training"),
    ("reporting",),
    ("workflows",),
    ("demo_page", "testing"),
    ("cli",),
)
FLOOR_OF = {unit: floor for floor, units in enumerate(FLOORS) for unit in units}

# Narrower than their floor: these know nothing of models.
ONLY = {"config": {"errors", "extras"}, "data": {"errors", "extras", "registry"}}
WITHOUT_TRANSFORMERS = {unit for units in FLOORS[:9] for unit in units}

LONGEST_FILE = 350
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
UNSAFE_CALLS = {"torch.save", "torch.load"}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def unit_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> Iterator[str]:
    """Dotted names of all that a file imports, inside functions as well."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def units_imported(path: Path) -> Iterator[str]:
    for name in imports_of(path):
        top, _, rest = name.partition(".")
        if top == "tokenexit" and rest != "__version__":
            yield rest.split(".")[0]


def violations(path: Path) -> list[str]:
    unit = unit_of(path)
    allowed = {unit} | ONLY.get(unit, {u for u in FLOOR_OF if FLOOR_OF[u] < FLOOR_OF[unit]})
    return [
        f"{relative(path)} ({unit}) imports tokenexit.{other}"
        for other in units_imported(path)
        if other not in allowed
    ]


def floored() -> list[Path]:
    return [path for path in SOURCES if unit_of(path) in FLOOR_OF]


def test_every_unit_has_a_floor():
    homeless = {unit_of(path) for path in SOURCES} - FLOOR_OF.keys() - {"__init__", "__main__"}
    assert not homeless, f"Give these a floor in FLOORS: {sorted(homeless)}"


def test_imports_run_downwards_only():
    assert not [line for path in floored() for line in violations(path)]


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def files_in_circles(paths: list[Path]) -> set[str]:
    """Files that lead back to themselves, what is imported for type checkers included."""
    names = {dotted(path) for path in paths}
    below: dict[str, set[str]] = {}
    for path in paths:
        found = set[str]()
        for name in imports_of(path):  # a name of a module, or one inside it
            found |= {name if name in names else name.rpartition(".")[0]} & names
        below[dotted(path)] = found - {dotted(path)}
    return {name for name in names if name in reached_from(name, below)}


def reached_from(name: str, below: dict[str, set[str]]) -> set[str]:
    reached, ahead = set[str](), [name]
    while ahead:
        new = below[ahead.pop()] - reached
        reached |= new
        ahead += new
    return reached


def test_no_import_leads_back():
    assert not files_in_circles(SOURCES), "Move what both sides need below both."


def test_the_circle_rule_sees_a_type_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    sources = {
        "a": "if TYPE_CHECKING:\n    from tokenexit.b import B\n",
        "b": "def f():\n    import tokenexit.a\n",
        "above": "from tokenexit import a\n",
        "below": "",
    }
    paths = [tmp_path / "tokenexit" / f"{name}.py" for name in sources]
    paths[0].parent.mkdir()
    for path, text in zip(paths, sources.values(), strict=True):
        path.write_text(text)
    assert files_in_circles(paths) == {"tokenexit.a", "tokenexit.b"}


def test_the_vocabularies_know_nothing_of_transformers():
    guilty = [
        f"{relative(path)} imports {name}"
        for path in floored()
        if unit_of(path) in WITHOUT_TRANSFORMERS
        for name in imports_of(path)
        if name.split(".")[0] == "transformers"
    ]
    assert not guilty


def test_the_package_does_not_import_its_scripts_or_tests():
    outside = {"benchmarks", "recipes", "data_scripts", "tests"}
    guilty = [
        f"{relative(path)} imports {name}"
        for path in SOURCES
        for name in imports_of(path)
        if name.split(".")[0] in outside
    ]
    assert not guilty


def test_no_file_is_long():
    long = {}
    for path in [*SOURCES, *SCRIPTS]:
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > LONGEST_FILE:
            long[relative(path)] = lines
    assert not long, f"Split these (at most {LONGEST_FILE} lines each): {long}"


def test_no_kernel_source_is_long():
    sources = [*PACKAGE.glob("kernels/source/*.h"), *PACKAGE.glob("kernels/source/*.cpp")]
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in sources}
    assert lengths
    long = {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE}
    assert not long, f"Split these (at most {LONGEST_FILE} lines each): {long}"


def test_nothing_is_pickled():
    guilty = []
    for path in SOURCES:
        guilty += [
            f"{relative(path)} imports {name}"
            for name in imports_of(path)
            if name.split(".")[0] in UNSAFE_MODULES or name in UNSAFE_CALLS
        ]
        guilty += [
            f"{relative(path)}:{node.lineno} uses {ast.unparse(node)}"
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Attribute) and ast.unparse(node) in UNSAFE_CALLS
        ]
    assert not guilty, "Save safetensors and JSON instead."


def test_optional_libraries_are_imported_where_they_are_used():
    guilty = [
        f"{relative(path)} imports {library}"
        for path in SOURCES
        for library in re.findall(
            r"^(?:import|from) (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE
        )
        if library in LIBRARIES
    ]
    assert not guilty, "Import them in functions, after require_libraries."


@pytest.mark.parametrize("module", ["tokenexit", "tokenexit.config", "tokenexit.cli"])
def test_heavy_libraries_wait_until_they_are_used(module: str):
    code = f"import sys, {module}; print({{'torch', 'transformers'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "set()"


def test_the_command_line_answers_help_without_heavy_libraries():
    code = (
        "import sys; sys.argv = ['tokenexit', '--help']\n"
        "from tokenexit.cli import main\n"
        "try:\n    main()\n"
        "finally:\n    assert not {'torch', 'transformers'} & set(sys.modules), 'heavy'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_the_import_rule_sees_a_violation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path / "tokenexit")
    bad = tmp_path / "tokenexit" / "policies" / "bad.py"
    bad.parent.mkdir(parents=True)
    bad.write_text(
        "from tokenexit import models, scores\n"
        "import tokenexit.halting.engine\n"
        "from ..heads import linear\n"
        "from . import base\n"
        "def f():\n"
        "    from tokenexit.cli import main\n"
    )
    found = [line.rsplit(".", 1)[1] for line in violations(bad)]
    assert found == ["models", "halting", "heads", "cli"]
