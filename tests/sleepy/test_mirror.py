"""Tests mirror the tree: who reads a module finds its tests without a search, and what nothing tests is seen."""

from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_module_has_a_test_file_of_its_own() -> None:
    modules = [path.relative_to(ROOT) for path in (ROOT / "sleepy").rglob("*.py") if not path.name.startswith("__")]
    assert len(modules) > 100
    mirrors = {module: Path("tests", module).with_name(f"test_{module.stem.lstrip('_')}.py") for module in modules}
    assert [str(module) for module, mirror in mirrors.items() if not (ROOT / mirror).exists()] == []
