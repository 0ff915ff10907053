"""Who may import whom: the order of docs/architecture.md."""

from __future__ import annotations

from meta import project

# Low to high. A package imports its own modules and those of lower rows; within a row `apart` holds for
# packages that must not know each other.
ORDER = [
    {"errors", "messages", "settings", "home", "money", "policy", "printable"},
    {"kernel"},
    {"drivers"},
    {"models", "tools", "memory", "audit"},
    {"runtime"},
    {"batch"},
    {"automation"},
    {"daemon"},
    {"embedding"},
    {"aio", "blocking", "testing"},
    {"cli"},
]
TOGETHER = {"errors", "messages", "settings", "home", "money", "policy", "printable"}
RANK = {name: rank for rank, row in enumerate(ORDER) for name in row}


def _area(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def test_every_area_of_the_package_has_its_place_in_the_order() -> None:
    areas = {
        _area(project.module_name(path)) for path in project.tracked(".py") if project.PACKAGE in path.parents
    }
    assert areas - {"", "examples", "__main__", "_kernel"} <= set(RANK)


def test_imports_follow_the_order() -> None:
    wrong = []
    for found in project.package_imports():
        importer, target = _area(found.importer), _area(found.target)
        if not found.target.startswith("agentos.") or importer == target or target not in RANK:
            continue
        if importer in TOGETHER and target in TOGETHER:
            continue
        if importer and RANK.get(importer, len(ORDER)) <= RANK[target]:
            wrong.append(str(found))
    assert wrong == []


def test_only_the_facade_imports_the_extension_module() -> None:
    facade = project.PACKAGE / "kernel.py"
    wrong = [
        str(found)
        for found in project.package_imports()
        if "_kernel" in found.target.split(".") and found.path != facade
    ]
    assert wrong == []


def test_nobody_imports_the_second_sqlite() -> None:
    # Two SQLite libraries in one process break each other's locks on kernel.db.
    assert [str(found) for found in project.package_imports() if found.target.startswith("sqlite3")] == []


def test_a_client_command_loads_no_trio() -> None:
    wrong = [
        str(found)
        for found in project.package_imports()
        if _area(found.importer) == "cli" and found.target.split(".")[0] in {"trio", "asyncio"}
    ]
    assert wrong == []


def test_default_dependencies_are_all_that_is_imported() -> None:
    import sys

    allowed = {"agentos", "trio", "msgspec", "yaml", "cryptography"} | set(sys.stdlib_module_names)
    wrong = [
        str(found)
        for found in project.package_imports()
        if found.target.split(".")[0] not in allowed and "examples" not in found.importer
    ]
    assert wrong == []
