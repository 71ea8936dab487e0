"""Which files are found, whatever the folders hold, and in what order the paths come."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import msgspec
import pytest

from leaklint.errors import LeaklintError
from leaklint.finding import FileError
from leaklint.settings import Settings
from leaklint.sources import find, read

Write = Callable[..., None]


def found(*paths: str, settings: Settings | None = None) -> list[str]:
    sources, errors = find(paths, settings or Settings())
    assert errors == ()
    return [source.path for source in sources]


def test_files_are_sorted_and_only_python(write: Write) -> None:
    write("b.py", "a/z.py", "a/a.py", "a/notes.txt", "stub.pyi", "a.py.orig", "script")
    assert found(".") == ["a/a.py", "a/z.py", "b.py"]


@pytest.mark.parametrize("given", ["src", "src/", "./src", "src//", "src/."])
def test_paths_are_shown_as_given_with_slashes(write: Write, given: str) -> None:
    write("src/pkg/a.py")
    assert found(given) == ["src/pkg/a.py"]


def test_absolute_paths_stay_absolute(project: Path, write: Write) -> None:
    write("src/a.py")
    assert found(str(project / "src")) == [f"{project.as_posix()}/src/a.py"]
    assert found("../project/src") == ["../project/src/a.py"]


def test_overlapping_paths_in_any_order_give_each_file_once(write: Write) -> None:
    write("src/pkg/a.py", "src/pkg/sub/b.py", "src/top.py", "other/c.py")
    paths = ["src/pkg/sub/b.py", "src", "src/pkg", "other/c.py", "./src/pkg/sub"]
    outcomes = {find(order, Settings()) for order in permutations(paths)}
    assert len(outcomes) == 1
    assert [source.path for source in outcomes.pop()[0]] == ["other/c.py", "src/pkg/a.py", "src/pkg/sub/b.py", "src/top.py"]


def test_a_path_that_does_not_exist(write: Write) -> None:
    write("a.py")
    with pytest.raises(LeaklintError, match=r"^b\.py: no such file or folder$"):
        find(["a.py", "b.py"], Settings())


def test_symlinks_give_each_file_once_under_its_own_path(project: Path, write: Write) -> None:
    write("real/a.py", "real/deep/b.py", "../elsewhere/c.py")
    (project / "alias").symlink_to("real")
    (project / "another.py").symlink_to("real/a.py")
    (project / "outside").symlink_to("../elsewhere")
    assert found(".") == ["outside/c.py", "real/a.py", "real/deep/b.py"]
    assert found("alias") == ["alias/a.py", "alias/deep/b.py"]
    assert found("another.py", "real") == ["real/a.py", "real/deep/b.py"]


def test_looping_symlinks_end(project: Path, write: Write) -> None:
    write("a/one.py", "b/two.py")
    (project / "a/up").symlink_to("..")
    (project / "a/b").symlink_to("../b")
    (project / "b/a").symlink_to("../a")
    (project / "self").symlink_to("self")
    assert found(".") == ["a/one.py", "b/two.py"]


def test_broken_symlinks_are_errors(project: Path, write: Write) -> None:
    write("pkg/a.py")
    (project / "pkg/gone.py").symlink_to("nowhere.py")
    (project / "pkg/round.py").symlink_to("round.py")
    (project / "pkg/folder").symlink_to("nowhere")
    sources, errors = find(["pkg"], Settings())
    assert [source.path for source in sources] == ["pkg/a.py"]
    assert errors == (FileError("pkg/gone.py", "broken symbolic link"), FileError("pkg/round.py", "broken symbolic link"))
    assert find(["pkg/gone.py"], Settings()) == ((), (FileError("pkg/gone.py", "broken symbolic link"),))


def test_a_symlink_into_an_excluded_folder_is_not_followed(project: Path, write: Write) -> None:
    write("app/a.py", "node_modules/tool/x.py")
    (project / "app/tool").symlink_to("../node_modules/tool")
    assert found("app") == ["app/a.py"]
    assert found("app/tool") == ["app/tool/x.py"]


def test_an_unreadable_folder_or_file_is_an_error(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """As root everything can be read, so the system call is told to refuse."""
    write("app/a.py", "app/secret/b.py", "app/c.py")
    scandir = os.scandir

    def refusing(path: str) -> object:
        if os.path.basename(path) == "secret":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    sources, errors = find(["app"], Settings())
    assert [source.path for source in sources] == ["app/a.py", "app/c.py"]
    assert errors == (FileError("app/secret", "cannot be read: Permission denied"),)
    os.unlink("app/a.py")
    assert read(sources[0]) == FileError("app/a.py", "cannot be read: No such file or directory")


def test_environments_caches_and_build_output_are_skipped(write: Write) -> None:
    skipped = [
        "venv", ".venv", ".git", ".tox", ".nox", "node_modules", "__pycache__", ".mypy_cache", "x.egg-info", ".eggs", "build", "dist",
        "lib/site-packages",
    ]  # fmt: skip
    write("a.py", *(f"{folder}/pkg/x.py" for folder in skipped))
    write("myenv/pyvenv.cfg", "myenv/lib/x.py", "app/build/__init__.py", "app/build/x.py", "app/dist/__init__.py")
    assert found(".") == ["a.py", "app/build/__init__.py", "app/build/x.py", "app/dist/__init__.py"]


@pytest.mark.parametrize("folder", ["venv/pkg", "venv", "build", "myenv", "ignored"])
def test_what_is_given_by_name_is_always_taken(write: Write, folder: str) -> None:
    write(".git/HEAD", "venv/pkg/x.py", "build/x.py", "myenv/pyvenv.cfg", "myenv/x.py", "ignored/x.py", {".gitignore": "ignored/\n"})
    assert any(path.endswith("x.py") for path in found(folder))
    assert found(".") == []
    assert len(found(".", folder)) == 1


def test_a_file_given_by_name_is_always_taken(write: Write) -> None:
    write(".git/HEAD", "made/x.py", "script", {".gitignore": "made/\n"})
    assert found("made/x.py", "script", settings=Settings(exclude=("made", "x.py", "script"))) == ["made/x.py", "script"]


def test_gitignore_is_honoured(write: Write) -> None:
    write(
        ".git/HEAD",
        *("a.py", "made.py", "sub/made.py", "sub/local.py", "sub/keep/local.py", "top/x.py", "sub/top/x.py", "gen/kept.py", "gen/x.py"),
        *("hidden.py", "sub/odd name.py", "sub/[x].py"),
        {
            ".gitignore": "# a comment\n\nmade.py\n/top/\ngen/*\n!gen/kept.py\n!\n\\\n",
            "sub/.gitignore": "local.py\n!/made.py\nodd name.py\n\\[x\\].py\n",
            "sub/keep/.gitignore": "!local.py",
            ".git/info/exclude": "hidden.py\n",
        },
    )
    kept = ["a.py", "gen/kept.py", "sub/keep/local.py", "sub/made.py", "sub/top/x.py"]
    assert found(".") == kept
    assert found("sub") == [path for path in kept if path.startswith("sub/")]
    assert found("sub/keep", "gen") == ["gen/kept.py", "sub/keep/local.py"]


def test_an_ignored_folder_keeps_what_is_in_it(write: Write) -> None:
    write(".git/HEAD", "out/keep.py", {".gitignore": "out/\n!out/keep.py\n"})
    assert found(".") == []


def test_ignore_files_above_count_only_inside_a_repository(write: Write) -> None:
    write("sub/a.py", "sub/b.py", {".gitignore": "a.py\n", "sub/.gitignore": "b.py\n"})
    assert found("sub") == ["sub/a.py"]


def test_exclude_replaces_and_extend_exclude_adds(project: Path, write: Write) -> None:
    write("a.py", "venv/b.py", "docs/c.py", "app/docs/d.py", "app/x_pb2.py", "app/y.py")
    settings = Settings(root=str(project))
    assert found(".", settings=msgspec.structs.replace(settings, exclude=("/docs",))) == [
        *("a.py", "app/docs/d.py", "app/x_pb2.py", "app/y.py", "venv/b.py")
    ]
    assert found(".", settings=msgspec.structs.replace(settings, extend_exclude=("docs/", "*_pb2.py"))) == ["a.py", "app/y.py"]
    assert found("app", settings=msgspec.structs.replace(settings, extend_exclude=("app/docs", "!venv"))) == ["app/x_pb2.py", "app/y.py"]


def test_names_that_are_not_text_can_be_shown(project: Path) -> None:
    with open(os.path.join(os.fsencode(project), b"caf\xe9.py"), "wb") as stream:
        stream.write(b"x = 1")
    (source,), _ = find(["."], Settings())
    assert source.path == "caf\\xe9.py"
    assert read(source) == b"x = 1"
    assert msgspec.json.encode(source.module) == b'"caf\\\\xe9"'


def test_pipes_are_no_files(project: Path, write: Write) -> None:
    write("a.py")
    os.mkfifo("pipe.py")
    (project / "link.py").symlink_to("pipe.py")
    assert found(".") == ["a.py"]


def test_an_unsaved_file_is_one_of_them(write: Write) -> None:
    write("pkg/__init__.py", "pkg/a.py")
    sources, _ = find(["pkg"], Settings(), unsaved="./pkg/new.py")
    assert [(source.path, source.module) for source in sources] == [
        ("pkg/__init__.py", "pkg"),
        ("pkg/a.py", "pkg.a"),
        ("pkg/new.py", "pkg.new"),
    ]
    assert [source.module for source in find([], Settings(), unsaved="pkg/a.py")[0]] == ["pkg.a"]
