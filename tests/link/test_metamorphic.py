"""Which channel an operation acts on does not depend on names, files, their order, or the way that the channel takes to the operation."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from link.programs import linked

from leaklint.catalog.grammar import Does
from leaklint.link import Program
from leaklint.link.contexts import MOST_MADE
from leaklint.link.dump import origins

Channel = tuple[str, ...]
"""The marks of the lines that make a queue, its owner, the owner of that: `("q0", "o2")`."""


@dataclass(frozen=True)
class Operation:
    """`put` or `get` on a queue: `path` leads from an object of `main` through those that it makes."""

    method: str
    object: int
    path: tuple[int, ...]


@dataclass(frozen=True)
class Outline:
    """A program. Every class makes a queue; `children[n]` are the classes of which class `n` makes one instance each, all of them earlier;
    `objects` are the classes of what `main` makes, one in a line."""

    children: tuple[tuple[int, ...], ...]
    objects: tuple[int, ...]
    operations: tuple[Operation, ...]


@dataclass(frozen=True)
class Style:
    """How a program is written: its words, one file or many, which file comes first."""

    words: tuple[str, ...]
    imports: str
    order: tuple[int, ...]
    ways: tuple[str, ...]


WAYS = (
    "as it is", "alias", "method", "getter", "property", "function", "dict", "tuple", "loop", "bound", "keeper", "one keeper for all",
    "default", "lambda",
)  # fmt: skip
WORDS = ("rows", "items", "pop", "values", "left", "update", "name", "job", "done", "way", "first", "copy")
FILES = 5


@st.composite
def outlines(draw: st.DrawFn) -> Outline:
    number = draw(st.integers(1, 3))
    objects = tuple(draw(st.lists(st.integers(0, number - 1), min_size=1, max_size=MOST_MADE - 1)))
    children: list[tuple[int, ...]] = []
    for cls in range(number):
        children.append(tuple(draw(st.sets(st.integers(0, cls - 1), max_size=2))) if cls else ())
    kept = _told_apart(children, objects)
    operations = tuple(draw(st.lists(_operations(kept, objects), min_size=1, max_size=6)))
    return Outline(kept, objects, operations)


def _told_apart(children: list[tuple[int, ...]], objects: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Without the children of which there would be too many to tell apart: see `contexts`."""
    numbers = [objects.count(cls) for cls in range(len(children))]
    kept: list[tuple[int, ...]] = [()] * len(children)
    for cls in reversed(range(len(children))):
        for child in children[cls]:
            if numbers[child] + numbers[cls] + 1 <= MOST_MADE:
                numbers[child] += numbers[cls] + 1
                kept[cls] = (*kept[cls], child)
    return tuple(kept)


@st.composite
def _operations(draw: st.DrawFn, children: tuple[tuple[int, ...], ...], objects: tuple[int, ...]) -> Operation:
    start = draw(st.integers(0, len(objects) - 1))
    path: tuple[int, ...] = ()
    cls = objects[start]
    while children[cls] and draw(st.booleans()):
        cls = draw(st.sampled_from(children[cls]))
        path = (*path, cls)
    return Operation(draw(st.sampled_from(("put", "get"))), start, path)


styles = st.builds(
    Style,
    st.permutations(WORDS).map(tuple),
    st.sampled_from(("one file", "from", "module")),
    st.permutations(range(FILES)).map(tuple),
    st.lists(st.sampled_from(WAYS), min_size=6, max_size=6).map(tuple),
)


def meant(outline: Outline) -> set[tuple[str, Channel]]:
    """What a reader sees."""
    found = set()
    for operation in outline.operations:
        owners = [f"o{operation.object}"]
        cls = outline.objects[operation.object]
        for child in operation.path:
            owners.insert(0, f"c{cls}-{child}")
            cls = child
        found.add((operation.method, (f"q{cls}", *owners)))
    return found


def seen(files: dict[str, str]) -> set[tuple[str, Channel]]:
    """What linking sees in what may run."""
    program = linked(files)
    marks = {
        (path, n): line.rpartition("# ")[2] for path, text in files.items() for n, line in enumerate(text.splitlines(), 1) if "# " in line
    }
    return {
        (action.method, tuple(_marks(program, marks, obj)))
        for action in program.actions
        if action.does in (Does.SEND, Does.RECEIVE) and action.function in program.live
        for obj in action.subjects
    }


def _marks(program: Program, marks: dict[tuple[str, int], str], obj: int | None) -> list[str]:
    found = []
    while obj is not None:
        (made,) = origins(program, obj)
        found.append(marks[program.path(made.function.module), made.at.line])
        obj = program.owner(obj)
    return found


class Writer:
    """Writes an outline in a style: the classes, then what `main` needs, then `main`."""

    def __init__(self, outline: Outline, style: Style) -> None:
        self.outline = outline
        self.style = style
        self.tools: list[str] = []
        self.kept = 0
        self.main: list[str] = []

    def files(self) -> dict[str, str]:
        classes = [self.cls(number) for number in range(len(self.outline.children))]
        for number, cls in enumerate(self.outline.objects):
            self.main.append(f"    {self.object(number)} = {self.place(cls)}()  # o{number}")
        for number, operation in enumerate(self.outline.operations):
            self.operation(number, operation)
        ends = ["", "if __name__ == '__main__':", "    main()"]
        main = ["def main():", *self.main, *ends]
        if self.style.imports == "one file":
            return {"start.py": _text(["import queue", *(line for cls in classes for line in cls), *self.tools, *main])}
        files = {f"part{n}.py": _text(["import queue", *self.imports(n), *cls]) for n, cls in enumerate(classes)}
        files["tools.py"] = _text(["import queue", *self.tools])
        files["start.py"] = _text([*self.imports(len(classes)), "import tools", "from tools import *", *main])
        ordered = sorted(files.items(), key=lambda file: self.style.order[list(files).index(file[0])])
        return dict(ordered)

    def imports(self, before: int) -> list[str]:
        several = [(f"part{n}", self.name(n)) for n in range(before)]
        return [f"import {module}" if self.style.imports == "module" else f"from {module} import {name}" for module, name in several]

    def place(self, cls: int) -> str:
        return f"part{cls}.{self.name(cls)}" if self.style.imports == "module" else self.name(cls)

    def name(self, cls: int) -> str:
        return self.style.words[cls].title() + "s"

    def queue(self, cls: int) -> str:
        return self.style.words[3 + cls]

    def child(self, cls: int, child: int) -> str:
        return f"{self.style.words[6 + child]}_{cls}"

    def object(self, number: int) -> str:
        return f"{self.style.words[9]}{number}"

    def cls(self, number: int) -> list[str]:
        attribute = self.queue(number)
        lines = [f"class {self.name(number)}:", "    def __init__(self):"]
        lines.append(f"        self.{attribute} = queue.Queue()  # q{number}")
        lines += [f"        self.{self.child(number, c)} = {self.place(c)}()  # c{number}-{c}" for c in self.outline.children[number]]
        for method, argument in (("put", "1"), ("get", "")):
            lines += [f"    def {method}_{attribute}(self):", f"        return self.{attribute}.{method}({argument})"]
        lines += [f"    def give_{attribute}(self):", f"        return self.{attribute}"]
        lines += ["    @property", f"    def the_{attribute}(self):", f"        return self.{attribute}"]
        return lines

    def operation(self, number: int, operation: Operation) -> None:
        """The lines of `main` that do it, and the functions and classes that they need."""
        owner, cls = self.object(operation.object), self.outline.objects[operation.object]
        for child in operation.path:
            owner = f"{owner}.{self.child(cls, child)}"
            cls = child
        channel, method = f"{owner}.{self.queue(cls)}", operation.method
        given, word = "1" if method == "put" else "", f"{self.style.words[10]}{number}"
        plain = f"{word}.{method}({given})"
        match self.style.ways[number % len(self.style.ways)]:
            case "alias":
                lines = [f"{word} = {channel}", plain]
            case "method":
                lines = [f"{owner}.{method}_{self.queue(cls)}()"]
            case "getter":
                lines = [f"{owner}.give_{self.queue(cls)}().{method}({given})"]
            case "property":
                lines = [f"{owner}.the_{self.queue(cls)}.{method}({given})"]
            case "loop":
                lines = [f"for {word} in [{channel}]:", f"    {plain}"]
            case "function":
                self.tools += [f"def do{number}({word}):", f"    {plain}"]
                lines = [f"do{number}({channel})"]
            case "dict":
                lines = [f"{word} = {{'key': {channel}, 'other': None}}", f"{word}['key'].{method}({given})"]
            case "tuple":
                lines = [f"_, {word} = {owner}, {channel}", plain]
            case "bound":
                lines = [f"{word} = {channel}.{method}", f"{word}({given})"]
            case "keeper":
                self.tools += [f"class Keeper{number}:", f"    def __init__(self, {word}):", f"        self._{word} = {word}"]
                self.tools += ["    def work(self):", f"        self._{plain}"]
                lines = [f"Keeper{number}({channel}).work()"]
            case "one keeper for all" if self.kept < MOST_MADE:
                self.kept += 1
                self.tools += [] if self.kept > 1 else KEEPER
                lines = [f"Keeper({channel}).{method}()"]
            case "default":
                lines = [f"def do{number}({word}={channel}):", f"    {plain}", f"do{number}()"]
            case "lambda":
                lines = [f"{word} = lambda: {channel}.{method}({given})", f"{word}()"]
            case _:
                lines = [f"{channel}.{method}({given})"]
        self.main += [f"    {line}" for line in lines]


KEEPER = [
    "class Keeper:",
    "    def __init__(self, kept):",
    "        self.kept = kept",
    "    def put(self):",
    "        self.kept.put(1)",
    "    def get(self):",
    "        self.kept.get()",
]


def _text(lines: list[str]) -> str:
    return "\n".join((*lines, ""))


@settings(max_examples=150, deadline=None)
@given(outlines(), styles)
def test_however_it_is_written(outline: Outline, style: Style) -> None:
    assert seen(Writer(outline, style).files()) == meant(outline)
