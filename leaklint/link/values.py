"""What a variable can hold: the abstract objects of the object flow.

An allocation is known by its site, in the context of the object whose method makes it: two instances of one buffer class have two
queues (object sensitivity: Milanova, Rountev and Ryder, "Parameterized Object Sensitivity for Points-to Analysis for Java", 2005).
Which instances are told apart is decided in `contexts`.
"""

from __future__ import annotations

from typing import TypeAlias, Union

from msgspec import Struct

NO_CONTEXT = 0


class FunctionId(Struct, frozen=True, order=True):
    """A function of the program: index of its module, index in that module's summary. `context` is the id of the object whose method it
    is or stands in, where such objects are told apart: one function in the source is then one for each of them."""

    module: int
    index: int
    context: int = NO_CONTEXT

    def site(self, number: int) -> Site:
        """A place in the function, by the number that its summary gives it."""
        return Site(self.module, number, self.context)

    def inner(self, index: int) -> FunctionId:
        """Another function of the same module that sees the variables of this one, or the other way round."""
        return FunctionId(self.module, index, self.context)

    @property
    def source(self) -> tuple[int, int]:
        """The function as it is written, whatever it runs on."""
        return self.module, self.index


class ClassId(Struct, frozen=True, order=True):
    module: int
    index: int


class Site(Struct, frozen=True, order=True):
    """A call, await, with item or loop of the program, in the context of the function that it stands in."""

    module: int
    number: int
    context: int = NO_CONTEXT


class Instance(Struct, frozen=True):
    """The instances of a project class made at `site`; without one, all that are not told apart."""

    cls: ClassId
    site: Site | None = None


class Resource(Struct, frozen=True):
    """An instance of a modelled library type, made at `site`. `part` tells apart what one call makes: the ends of a pair, an
    attribute of the instance."""

    type: str
    site: Site
    part: str = ""


class Container(Struct, frozen=True):
    """A list, dict, set or tuple made at one place. `is_record`: a dict that is made with constant keys."""

    site: Site
    part: str = ""
    is_record: bool = False


class Called(Struct, frozen=True):
    """A call of a factory: the context in which the factory runs."""

    site: Site


class FunctionValue(Struct, frozen=True):
    function: FunctionId


class Method(Struct, frozen=True):
    """A project function bound to its first argument; `receiver` is the id of an object."""

    function: FunctionId
    receiver: int


class ClassValue(Struct, frozen=True):
    cls: ClassId


class ModuleValue(Struct, frozen=True):
    module: int


class Library(Struct, frozen=True):
    """A dotted name outside the project: a module, class or function, modelled or not; builtins live in `builtins`."""

    name: str


class LibraryMethod(Struct, frozen=True):
    """A modelled method, uncalled; `subject` is the id of the object it is bound to."""

    subject: int
    type: str
    name: str


class ContainerMethod(Struct, frozen=True):
    container: int
    name: str


class GeneratorMethod(Struct, frozen=True):
    """`generator.send`, uncalled."""

    generator: int
    name: str


class Coroutine(Struct, frozen=True):
    """What calling an async function at `site` gives."""

    function: FunctionId
    site: Site


class Generator(Struct, frozen=True):
    function: FunctionId
    site: Site


class Pending(Struct, frozen=True):
    """The coroutine of a library operation called at `site`: it happens where this is awaited."""

    site: Site


class Partial(Struct, frozen=True):
    site: Site


class Super(Struct, frozen=True):
    """`super()` in a method of `cls`."""

    cls: ClassId
    receiver: int


Object: TypeAlias = Union[
    Instance, Resource, Container, Called, FunctionValue, Method, ClassValue, ModuleValue, Library, LibraryMethod, ContainerMethod,
    GeneratorMethod, Coroutine, Generator, Pending, Partial, Super,
]  # fmt: skip
