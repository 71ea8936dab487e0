"""Each model that ships must say what its library really has: the names exist, the parameters have these names in this order."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import sys
from collections.abc import Callable, Iterator

import pytest

from leaklint.catalog import load_catalog
from leaklint.catalog.grammar import Operation, TypeModel

MODELS = load_catalog().models

IMPLEMENTED_BY = {
    "asyncio.AbstractEventLoop": "asyncio.SelectorEventLoop",
    "multiprocessing.context.BaseContext": "multiprocessing.context.DefaultContext",
}
"""The abstract classes leave out parameters and methods that each of their instances has."""
NEVER_CONSTRUCTED = {
    "anyio.abc.TaskGroup", "asyncio.AbstractEventLoop", "asyncio.Handle", "asyncio.Server", "asyncio.TimerHandle",
    "asyncio.subprocess.Process", "multiprocessing.context.BaseContext", "sched.Event", "trio.Nursery",
}  # fmt: skip
"""A function of the library makes them: their models say nothing of the constructor."""
ELSEWHERE = {("multiprocessing.managers.SyncManager", "shutdown"), ("trio.Nursery", "__enter__"), ("trio.Nursery", "__exit__")}
"""Methods that are bound by another method, or belong to the manager that `open_nursery` gives."""
NEWER_PARAMETERS = {("asyncio.run", "loop_factory"): (3, 12), ("multiprocessing.shared_memory.SharedMemory", "track"): (3, 13)}
NEWER_PARAMETERS |= {("asyncio.AbstractEventLoop.shutdown_default_executor", "timeout"): (3, 12)}
"""Parameters that the oldest supported Python does not have yet."""
OTHER_PLATFORMS = {"selectors.EpollSelector", "selectors.KqueueSelector", "selectors.PollSelector"}
ASYNC_TWINS = {"__enter__": "__aenter__", "__exit__": "__aexit__", "__iter__": "__aiter__"}
PLAIN_BUT_AWAITABLE = {"asyncio.gather", "asyncio.shield"}
"""Plain functions that return a future."""


def test_every_family_of_libraries_is_described() -> None:
    described = {name.partition(".")[0] for name in (*MODELS.types, *MODELS.functions)}
    assert {"asyncio", "threading", "queue", "multiprocessing", "concurrent", "anyio", "trio", "janus"} <= described


@pytest.mark.parametrize("name", sorted(MODELS.types))
def test_type(name: str) -> None:
    model = MODELS.types[name]
    skip_if_newer(name, model.since)
    cls = locate_class(name)
    if name in NEVER_CONSTRUCTED:
        assert not model.init
    elif signature := signature_of(cls):
        check_parameters(name, signature, model.init, model.keyword_only)
    for attribute in (*model.attributes, *model.views):
        assert has_attribute(cls, attribute), f"{name} has no attribute {attribute}"


@pytest.mark.parametrize(("name", "method"), sorted((name, method) for name, model in MODELS.types.items() for method in model.methods))
def test_method(name: str, method: str) -> None:
    model = MODELS.types[name]
    operation = model.methods[method]
    skip_if_newer(name, model.since)
    skip_if_newer(name, operation.since)
    if (name, method) in ELSEWHERE:
        return
    found = locate_method(locate_class(name), method)
    if method.startswith("__"):
        return
    check_operation(f"{name}.{method}", found, operation, skip_first=not is_bound(found))


@pytest.mark.parametrize("name", sorted(MODELS.functions))
def test_function(name: str) -> None:
    operation = MODELS.functions[name]
    skip_if_newer(name, operation.since)
    found = locate(name)
    assert callable(found)
    check_operation(name, found, operation, skip_first=False)


@pytest.mark.parametrize("alias", sorted(MODELS.aliases))
def test_alias(alias: str) -> None:
    if alias in OTHER_PLATFORMS and not hasattr(importlib.import_module("selectors"), alias.partition(".")[2]):
        pytest.skip(f"{alias} is of another platform")
    locate(alias)


@pytest.mark.parametrize("name", sorted(MODELS.inert | MODELS.inert_modules))
def test_inert(name: str) -> None:
    locate(name)


@pytest.mark.parametrize("name", sorted(MODELS.callbacks))
def test_callbacks(name: str) -> None:
    cls, callbacks = locate(name), MODELS.callbacks[name]
    for method in (*callbacks.first, *callbacks.again, *callbacks.last):
        assert callable(getattr(cls, method))


def exceptions() -> Iterator[str]:
    for operation in (*MODELS.functions.values(), *(operation for model in MODELS.types.values() for operation in model.methods.values())):
        yield from operation.raises


@pytest.mark.parametrize("name", sorted(set(exceptions())))
def test_exception(name: str) -> None:
    if name.endswith("ShutDown") and sys.version_info < (3, 13):
        pytest.skip("queues shut down since 3.13")
    found = locate(name)
    assert isinstance(found, type)
    assert issubclass(found, BaseException)


def locate(name: str) -> object:
    """What a dotted name means, a builtin by its bare name; skips the test where the library is not installed."""
    parts = name.split(".")
    if len(parts) == 1 and hasattr(sys.modules["builtins"], name):
        return getattr(sys.modules["builtins"], name)
    module, rest = import_longest(parts)
    found: object = module
    for part in rest:
        assert hasattr(found, part), f"no {part} in {found!r} ({name})"
        found = getattr(found, part)
    return found


def import_longest(parts: list[str]) -> tuple[object, list[str]]:
    pytest.importorskip(parts[0])
    for count in range(len(parts), 0, -1):
        try:
            return importlib.import_module(".".join(parts[:count])), parts[count:]
        except ModuleNotFoundError:
            continue
    raise AssertionError(parts)


def locate_class(name: str) -> type:
    """The class itself; where the library has a factory of that name, the class under an alias or of what the factory makes."""
    found = locate(IMPLEMENTED_BY.get(name, name))
    if isinstance(found, type):
        return found
    for alias, target in MODELS.aliases.items():
        if target == name and isinstance(cls := locate(alias), type):
            return cls
    assert callable(found)
    return type(found())


def locate_method(cls: type, method: str) -> Callable[..., object]:
    """From the class, or from an instance where the constructor binds it."""
    if not hasattr(cls, method) and hasattr(cls, ASYNC_TWINS.get(method, method)):
        return getattr(cls, ASYNC_TWINS[method])
    if hasattr(cls, method):
        return getattr(cls, method)
    factory = getattr(importlib.import_module("multiprocessing"), cls.__name__) if cls.__module__ == "multiprocessing.synchronize" else cls
    instance = factory()
    assert hasattr(instance, method), f"{cls} has no method {method}"
    return getattr(instance, method)


def has_attribute(cls: type, attribute: str) -> bool:
    """Also those that are only annotated or that a constructor binds."""
    if hasattr(cls, attribute) or any(attribute in inspect.get_annotations(each) for each in cls.__mro__):
        return True
    return any(f"self.{attribute}" in inspect.getsource(method) for _, method in inspect.getmembers(cls, inspect.isfunction))


def is_bound(found: Callable[..., object]) -> bool:
    return isinstance(found, type) or getattr(found, "__self__", None) is not None


def signature_of(found: Callable[..., object]) -> inspect.Signature | None:
    """None for functions written in C that keep theirs to themselves, and for classes that nobody constructs."""
    try:
        signature = inspect.signature(found)
    except (ValueError, TypeError):
        return None
    kinds = [parameter.kind for parameter in signature.parameters.values() if parameter.name != "self"]
    anything = [inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD]
    private = any(name.startswith("_") for name in signature.parameters if name != "_nil")
    return None if kinds == anything or private else signature


def check_operation(name: str, found: Callable[..., object], operation: Operation, *, skip_first: bool) -> None:
    if inspect.isfunction(found):
        assert operation.is_async == (inspect.iscoroutinefunction(found) or name in PLAIN_BUT_AWAITABLE), "is-async"
    if (signature := signature_of(found)) is None:
        return
    if skip_first:
        signature = signature.replace(parameters=list(signature.parameters.values())[1:])
    check_parameters(name, signature, operation.params, operation.keyword_only)


def check_parameters(of: str, signature: inspect.Signature, params: tuple[str, ...], keyword_only: tuple[str, ...]) -> None:
    """Positional names in order (those that cannot be passed by name by their number alone); of the rest, that they exist."""
    kind = inspect.Parameter
    missing = {name for (owner, name), version in NEWER_PARAMETERS.items() if owner == of and sys.version_info < version}
    params = tuple(name for name in params if name not in missing)
    real = list(signature.parameters.values())
    positional = [each for each in real if each.kind in (kind.POSITIONAL_ONLY, kind.POSITIONAL_OR_KEYWORD)]
    written = [name for name in params if not name.startswith("*")]
    assert len(written) == len(positional), f"{params} for {signature}"
    for name, parameter in zip(written, positional, strict=True):
        assert name == parameter.name or parameter.kind is kind.POSITIONAL_ONLY, f"{params} for {signature}"
    stars = {kind.VAR_POSITIONAL: "*", kind.VAR_KEYWORD: "**"}
    rest = {stars[each.kind] + each.name for each in real if each.kind in stars}
    assert {name for name in params if name.startswith("*")} <= rest, f"{params} for {signature}"
    assert set(keyword_only) - missing <= {each.name for each in real if each.kind is kind.KEYWORD_ONLY}, f"{keyword_only} for {signature}"


def skip_if_newer(name: str, since: str | None) -> None:
    """`since` counts versions of Python for the standard library, of the library for others."""
    if since is None:
        return
    library = name.partition(".")[0]
    have = sys.version_info[:2] if library in sys.stdlib_module_names else version_of(library)
    if have < tuple(map(int, since.split("."))):
        pytest.skip(f"{name}: since {since}")


def version_of(library: str) -> tuple[int, ...]:
    pytest.importorskip(library)
    return tuple(int(part) for part in importlib.metadata.version(library).split(".")[:2])


def test_kinds_that_hold_units_say_what_they_run() -> None:
    """A thread, process, task or timer that can be constructed names the parameter that it runs."""
    for name, model in MODELS.types.items():
        if model.unit is not None and model.kind != "executor":
            assert model.runs in (*model.init, *model.keyword_only), name
            assert starts(model), name


def starts(model: TypeModel) -> bool:
    return model.starts or any(operation.does in ("spawn", "arm") for operation in model.methods.values())
