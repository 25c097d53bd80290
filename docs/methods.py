"""For the reference: methods that a class takes from other files, brackets in docstrings.

`Learner` says `lr_find = recipes.lr_find` and `fit_sgdr = resumable(recipes.fit_sgdr)`. The site is
made of the text of the source, to which these are attributes without a word.
"""

from copy import copy
from typing import Any

from griffe import Attribute, Class, ExprCall, Extension, Function, Module, Object, Parameters


class MethodsFromElsewhere(Extension):
    """Puts the functions into the place of such attributes, without their first parameter."""

    def on_object(self, *, obj: Object, loader: Any, **kwargs: Any) -> None:
        """Keep `[predictions][, losses]` as it is; Markdown takes it for a link."""
        if obj.docstring and "][" in obj.docstring.value:
            pieces = obj.docstring.value.split("`")
            pieces[::2] = [text.replace("][", "]\\[") for text in pieces[::2]]
            obj.docstring.value = "`".join(pieces)

    def on_package(self, *, pkg: Module, loader: Any, **kwargs: Any) -> None:
        """Look through the classes of all modules, once these are read."""
        for module in _modules(pkg):
            for owner in [c for c in module.classes.values() if not c.is_alias]:
                _adopt(pkg, owner)


def _modules(module: Module) -> list[Module]:
    inner = [m for m in module.modules.values() if not m.is_alias]
    return [module, *(below for m in inner for below in _modules(m))]


def _adopt(pkg: Module, owner: Class) -> None:
    for name, member in list(owner.members.items()):
        if member.is_alias or not isinstance(member, Attribute) or member.docstring:
            continue
        source: Any = member.value
        if isinstance(source, ExprCall) and len(source.arguments) == 1:
            source = source.arguments[0]
        path = str(getattr(source, "canonical_path", ""))
        function = _find(pkg, path) if path.startswith("presize.") else None
        if isinstance(function, Function):
            method = copy(function)
            method.name, method.parent, method.lineno = name, owner, member.lineno
            method.parameters = Parameters(*list(function.parameters)[1:])
            owner.members[name] = method


def _find(pkg: Module, path: str) -> Any:
    try:
        found = pkg[path.removeprefix("presize.")]
        return found.final_target if found.is_alias else found
    except Exception:  # an alias of something outside, or no such name: nothing of ours
        return None
