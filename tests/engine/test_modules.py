"""The names under which files can be imported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from leaklint.settings import Settings
from leaklint.sources import find

Write = Callable[..., None]


def modules(*paths: str) -> dict[str, str]:
    return {source.path: source.module for source in find(paths, Settings())[0]}


def test_a_package_is_named_from_its_top(write: Write) -> None:
    write("shop/__init__.py", "shop/web/__init__.py", "shop/web/views.py", "shop/__main__.py")
    names = {
        "shop/__init__.py": "shop",
        "shop/__main__.py": "shop.__main__",
        "shop/web/__init__.py": "shop.web",
        "shop/web/views.py": "shop.web.views",
    }
    assert modules(".") == modules("shop") == names
    assert modules("shop/web") == {path: name for path, name in names.items() if path.startswith("shop/web/")}
    assert modules("shop/web/views.py") == {"shop/web/views.py": "shop.web.views"}
    assert [source.is_package for source in find(["shop"], Settings())[0]] == [True, False, True, False]


def test_src_is_not_part_of_a_name(write: Write) -> None:
    write("src/shop/__init__.py", "src/shop/cart.py", "src/ns/part/x.py", "src/single.py")
    names = {
        "src/ns/part/x.py": "ns.part.x",
        "src/shop/__init__.py": "shop",
        "src/shop/cart.py": "shop.cart",
        "src/single.py": "single",
    }
    assert modules(".") == modules("src") == names


def test_namespace_packages_are_named_from_the_given_folder(write: Write) -> None:
    write("google/cloud/storage/__init__.py", "google/cloud/storage/blob.py", "google/auth.py", "main.py")
    assert modules(".") == {
        "google/auth.py": "google.auth",
        "google/cloud/storage/__init__.py": "google.cloud.storage",
        "google/cloud/storage/blob.py": "google.cloud.storage.blob",
        "main.py": "main",
    }
    assert modules("google")["google/auth.py"] == "auth"
    assert modules(".", "google/cloud") == modules(".")


def test_a_folder_with_its_own_pyproject_is_a_place_to_import_from(write: Write) -> None:
    write("libs/cart/pyproject.toml", "libs/cart/cart/__init__.py", "libs/cart/cart/sums.py", "libs/tools.py")
    assert modules(".") == {
        "libs/cart/cart/__init__.py": "cart",
        "libs/cart/cart/sums.py": "cart.sums",
        "libs/tools.py": "libs.tools",
    }


def test_nobody_imports_through_a_folder_that_is_no_identifier(write: Write) -> None:
    write("my-tool/main.py", "my-tool/parts/x.py")
    assert modules(".") == {"my-tool/main.py": "main", "my-tool/parts/x.py": "parts.x"}


def test_single_files(project: Path, write: Write) -> None:
    write("scripts/run.py", "scripts/plain")
    assert modules("scripts/run.py", "scripts/plain") == {"scripts/plain": "plain", "scripts/run.py": "run"}


def test_two_programs_side_by_side_differ(write: Write) -> None:
    write("one/main.py", "one/app/__init__.py", "one/app/db.py", "two/main.py", "two/app/__init__.py", "two/app/db.py")
    assert modules("one", "two") == {
        "one/app/__init__.py": "app",
        "one/app/db.py": "app.db",
        "one/main.py": "main",
        "two/app/__init__.py": "two.app",
        "two/app/db.py": "two.app.db",
        "two/main.py": "two.main",
    }


def test_a_package_hides_the_module_beside_it(project: Path, write: Write) -> None:
    write("a.py", "a/__init__.py")
    assert modules(".") == {"a/__init__.py": "a", "a.py": str(project / "a.py")}
