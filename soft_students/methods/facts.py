"""What the file of a method declares, read without importing it: the import loads torch."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.abc import InspectLoader
from importlib.util import find_spec
from typing import Any, NoReturn


@dataclass(frozen=True)
class Paper:
    """Where a method comes from.

    Parameters
    ----------
    authors : str
        Short: "Hinton, Vinyals and Dean".
    year : int
    title : str
    venue : str
    link : str
        An arXiv number or DOI.
    """

    authors: str
    year: int
    title: str
    venue: str
    link: str

    def __str__(self) -> str:
        return f'{self.authors} ({self.year}), "{self.title}", {self.venue}, {self.link}'


@dataclass(frozen=True)
class MethodEntry:
    """One method of the catalogue: the facts that its class declares.

    Parameters
    ----------
    module, class_name : str
        Where the class is.
    key, title, paper, needs
        The class attributes, see `Method`.
    doc : str
        The docstring of the class, without indentation.
    defaults : dict
        The parameters of the class with their defaults.
    """

    module: str
    class_name: str
    key: str
    title: str
    paper: Paper
    needs: frozenset[str]
    doc: str
    defaults: Mapping[str, Any]

    def load(self) -> Any:
        """Import the class."""
        return getattr(importlib.import_module(self.module), self.class_name)


@functools.cache
def read_method(module: str, class_name: str) -> MethodEntry:
    """Return what a class declares.

    Parameters
    ----------
    module, class_name : str

    Raises
    ------
    ValueError
        If the class or one of its facts is missing, or a fact is not written as a literal.
    """
    tree = _source(module)
    if tree is None:
        return _imported(module, class_name)
    constants = _assigned(tree.body)
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    found = next((node for node in classes if node.name == class_name), None)
    if found is None:
        _refuse(module, class_name, "the file has no such class")
    facts = _assigned(found.body)
    values: dict[str, Any] = {}
    for name in ("key", "title", "paper", "needs"):
        if name not in facts:
            _refuse(module, class_name, f"the class does not declare {name!r}")
        try:
            values[name] = _value(facts[name], constants)
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"The method {module}:{class_name} cannot be listed: {name!r} must be a literal, "
                f"a Paper or frozenset of literals. Got {ast.unparse(facts[name])}."
            ) from error
    return MethodEntry(
        module,
        class_name,
        **values,
        doc=ast.get_docstring(found) or "",
        defaults=_defaults(found, constants),
    )


@functools.cache
def read_exports(module: str) -> tuple[str, ...]:
    """Return the ``__all__`` of a module; nothing if it has none."""
    tree = _source(module)
    if tree is None:
        return tuple(getattr(importlib.import_module(module), "__all__", ()))
    names = _assigned(tree.body).get("__all__")
    return () if names is None else tuple(_value(names, {}))


@functools.cache
def _source(module: str) -> ast.Module | None:
    """Return the parsed file; None if only compiled code is installed."""
    spec = find_spec(module)
    loader = None if spec is None else spec.loader
    source = loader.get_source(module) if isinstance(loader, InspectLoader) else None
    return None if source is None else ast.parse(source)


def _imported(module: str, class_name: str) -> MethodEntry:
    method = getattr(importlib.import_module(module), class_name)
    return MethodEntry(
        module,
        class_name,
        method.key,
        method.title,
        method.paper,
        method.needs,
        inspect.getdoc(method) or "",
        method().get_params(deep=False),
    )


def _assigned(body: Iterable[ast.stmt]) -> dict[str, ast.expr]:
    """Return the values assigned to plain names, by name."""
    found: dict[str, ast.expr] = {}
    for node in body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = node.value
    return found


def _value(node: ast.expr, constants: Mapping[str, ast.expr]) -> Any:
    match node:
        case ast.Name(id=name):
            return _value(constants[name], constants)
        case ast.Call(func=ast.Name(id="Paper"), args=args):
            return Paper(*(_value(arg, constants) for arg in args))
        case ast.Call(func=ast.Name(id="frozenset"), args=args):
            return frozenset(*(_value(arg, constants) for arg in args))
        case ast.BinOp(left=left, op=ast.Div(), right=right):  # 1 / 12
            return _value(left, constants) / _value(right, constants)
    return ast.literal_eval(node)


def _defaults(method: ast.ClassDef, constants: Mapping[str, ast.expr]) -> dict[str, Any]:
    for node in method.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            pairs = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
            return {
                argument.arg: _value(default, constants)
                for argument, default in sorted(pairs, key=lambda pair: pair[0].arg)
                if default is not None
            }
    return {}


def _refuse(module: str, class_name: str, reason: str) -> NoReturn:
    raise ValueError(f"The method {module}:{class_name} cannot be listed: {reason}.")
