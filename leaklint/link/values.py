"""What a variable can hold: the abstract objects of the object flow.

An allocation is known by its site. Instances of a project class are one object per class for now: `Instance` is the border at which
the context of the owner will enter.
"""

from __future__ import annotations

from typing import TypeAlias, Union

from msgspec import Struct


class FunctionId(Struct, frozen=True, order=True):
    """A function of the program: index of its module, index in that module's summary."""

    module: int
    index: int

    def site(self, number: int) -> Site:
        """A place in the function, by the number that its summary gives it."""
        return Site(self.module, number)

    def inner(self, index: int) -> FunctionId:
        """Another function of the same module that sees the variables of this one, or the other way round."""
        return FunctionId(self.module, index)


class ClassId(Struct, frozen=True, order=True):
    module: int
    index: int


class Site(Struct, frozen=True, order=True):
    """A call, await, with item or loop of the program."""

    module: int
    number: int


class Instance(Struct, frozen=True):
    """Every instance of a project class."""

    cls: ClassId


class Resource(Struct, frozen=True):
    """An instance of a modelled library type, made at `site`. `part` tells apart what one call makes: the ends of a pair, an
    attribute of the instance."""

    type: str
    site: Site
    part: str = ""


class Container(Struct, frozen=True):
    """A list, dict, set or tuple made at one place: a call or display of the module."""

    module: int
    place: int
    part: str = ""


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
    Instance, Resource, Container, FunctionValue, Method, ClassValue, ModuleValue, Library, LibraryMethod, ContainerMethod,
    Coroutine, Generator, Pending, Partial, Super,
]  # fmt: skip
