"""The grammar of templates. Anyone's pull request can contain a template, so everything that is not allowed here is refused.

Jinja's syntax tree is judged before anything runs. It may contain text, values of declared variables, filters, `if`, and `for`
over a list, so that nothing can call, import, define, calculate or loop without end. All branches are judged, because one that
no sample takes could hide something, and so are types, so that a template that passes does not fail when a mail is due.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import chain, islice
from typing import Literal, NamedTuple, TypeAlias, get_args

from jinja2 import TemplateError, TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from reconciler.mail.filters import FILTERS
from reconciler.mail.variables import VARIABLES, Type
from reconciler.wording.nearest import did_you_mean, nearest

Field: TypeAlias = Literal["subject", "text", "html"]
FIELDS: tuple[Field, ...] = ("subject", "text", "html")
Rule: TypeAlias = Literal[
    "template-syntax",
    "template-forbidden",
    "template-variable",
    "template-missing-value",
    "template-password",
    "template-link",
    "template-result",
]
Severity: TypeAlias = Literal["error", "warning"]
MOST_FAULTS = 50
"""How many faults of one part to report."""
_MOST_TOKENS = 20_000
MOST_NODES = 2_000
MOST_LOOPED = 300
_DEEPEST = 50
_LONGEST = {"subject": 512, "text": 65_536, "html": 262_144}
_TAG = re.compile(r"\{[{%].*?(?:[%}]\}|$)")
_LOCAL = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,40}")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Fault(NamedTuple):
    """A fault in a part of a template: its place (line and column from 1 in the text), and what to write instead."""

    field: Field
    line: int
    column: int
    rule: Rule
    message: str
    suggestion: str | None = None
    severity: Severity = "error"


class _Value(NamedTuple):
    """What is known about an expression before rendering; `missing` means that it may be None."""

    type: Type | Literal["truth", "none", "mixed", "unknown"]
    missing: bool = False


_UNKNOWN = _Value("unknown")
_Present: TypeAlias = frozenset[str]
"""Optional variables that cannot be None here, because of a condition around the place."""
_NOTHING: _Present = frozenset()
_STATEMENTS: Mapping[str, str] = {
    "Assign": "set",
    "AssignBlock": "set",
    "Block": "block",
    "CallBlock": "call",
    "Extends": "extends",
    "FilterBlock": "filter",
    "FromImport": "from",
    "Import": "import",
    "Include": "include",
    "Macro": "macro",
    "Scope": "autoescape",
    "With": "with",
}
_EXPRESSIONS: Mapping[str, str] = {
    "Call": "a template cannot call anything; use filters on values, such as `{{ user.name | upper }}`",
    "Concat": "`~` is not allowed; write the values next to each other",
    "Getitem": "brackets are not allowed; write `user.name`, or `certificate.names | first`",
    "List": "a list is allowed only after `in`",
    "Tuple": "a list is allowed only after `in`",
    "Dict": "a template cannot make a mapping",
    **dict.fromkeys(
        ("Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Pow", "Neg", "Pos"),
        "a template cannot calculate; it can only show values",
    ),
}
_LOOP: Mapping[str, _Value] = {
    "loop.first": _Value("truth"),
    "loop.last": _Value("truth"),
    "loop.index": _Value("number"),
    "loop.length": _Value("number"),
}
_SECRET = "password"  # noqa: S105 - the variable's name
_TESTS = ("defined", "undefined", "none")


@cache
def reader() -> ImmutableSandboxedEnvironment:
    """Return what reads the syntax of templates."""
    return ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)


def faults_of(name: str, field: Field, source: str) -> list[Fault]:
    """Return errors and warnings about one part of a template, from its text alone, in order of place."""
    if len(source) > _LONGEST[field]:
        return [Fault(field, 1, 1, "template-forbidden", f"it is longer than {_LONGEST[field]:,} characters")]
    hidden = _CONTROL.search(source)
    if hidden:
        line = source.count("\n", 0, hidden.start()) + 1
        return [Fault(field, line, 1, "template-syntax", f"it contains a control character, U+{ord(hidden[0]):04X}")]
    try:
        if any(islice(reader().lex(source), _MOST_TOKENS, None)):
            return [Fault(field, 1, 1, "template-forbidden", "it has more code than any mail needs")]
        tree = reader().parse(source)
    except TemplateSyntaxError as error:
        reason = str(error.message).split("\n", maxsplit=1)[0][:200]
        return [Fault(field, error.lineno, 1, "template-syntax", f"cannot read the template: {reason}")]
    except (TemplateError, ValueError, OverflowError, RecursionError, MemoryError) as error:
        reason = "a number in it is too large" if isinstance(error, ValueError | OverflowError) else "it is nested too deeply"
        return [Fault(field, 1, 1, "template-syntax", f"cannot read the template: {reason}")]
    judge = _Judge(name, field, source)
    found = judge.size(tree) or list(islice(chain(judge.body(tree.body, {}, _NOTHING), judge.conditions(tree)), MOST_FAULTS))
    return sorted(dict.fromkeys(found), key=lambda fault: (fault.line, fault.column))


class _Judge:
    """Judges one part of a template."""

    def __init__(self, name: str, field: Field, source: str) -> None:
        self._field: Field = field
        self._lines = source.split("\n")
        self._known = {variable.name: _Value(variable.type, variable.optional) for variable in VARIABLES[name]}

    def _fault(
        self,
        node: nodes.Node,
        rule: Rule,
        message: str,
        near: str = "",
        suggestion: str | None = None,
        severity: Severity = "error",
    ) -> Fault:
        """Return a fault at a node; `near` is a word on its line that marks the column."""
        line = min(node.lineno or 1, len(self._lines))
        tag = "{{" if rule == "template-missing-value" else "{"  # the value, not a condition before it
        column = _column(self._lines[line - 1], near, tag) if near else 1
        return Fault(self._field, line, column, rule, message, suggestion, severity)

    def _refusal(self, node: nodes.Node, message: str, near: str = "") -> Fault:
        return self._fault(node, "template-forbidden", message, near)

    def size(self, tree: nodes.Template) -> list[Fault]:
        """Check, without recursion, that the part is small and flat enough for the other checks and for Python."""
        waiting: list[tuple[nodes.Node, int, bool]] = [(tree, 0, False)]
        count = looped = 0
        while waiting:
            node, depth, inside = waiting.pop()
            count += 1
            looped += inside
            if depth > _DEEPEST:
                return [self._refusal(node, f"it is nested deeper than {_DEEPEST} levels")]
            if count > MOST_NODES:
                return [self._refusal(node, f"it has more than {MOST_NODES:,} parts; a mail needs fewer")]
            if looped > MOST_LOOPED:
                return [self._refusal(node, f"it has more than {MOST_LOOPED} parts in loops; a mail needs fewer")]
            if isinstance(node, nodes.For) and inside:
                return [self._refusal(node, "loops cannot be nested", "for")]
            below = inside or isinstance(node, nodes.For)
            branches = node.elif_ if isinstance(node, nodes.If) else []  # for Python, each `elif` is nested in the one before
            waiting += ((branch, depth + step, below) for step, branch in enumerate(branches, 2))
            waiting += ((child, depth + 1, below) for child in node.iter_child_nodes(exclude=("elif_",)))
        return []

    def body(self, body: Sequence[nodes.Node], local: Mapping[str, _Value], present: _Present) -> Iterator[Fault]:
        """Yield the faults of statements, in order."""
        for node in body:
            if isinstance(node, nodes.Output):
                for part in node.nodes:
                    yield from self._output(part, local, present)
            elif isinstance(node, nodes.If):
                yield from self._if(node, local, present)
            elif isinstance(node, nodes.For):
                yield from self._for(node, local, present)
            else:
                word = _STATEMENTS.get(type(node).__name__, type(node).__name__.lower())
                message = f"`{{% {word} %}}` is not allowed; use only text, values, `if`, and `for` over a list"
                yield self._refusal(node, message, word)

    def conditions(self, tree: nodes.Template) -> Iterator[Fault]:
        """Check that the password is shown whatever the values are: what stands in a condition is hidden from samples."""
        if _SECRET not in self._known:
            return
        message = "the password must be shown in every mail; write it outside of `if` and `for`"
        for node in tree.find_all((nodes.If, nodes.For)):
            for output in node.find_all(nodes.Output):
                secrets = (each for each in output.nodes if path_of(each) == _SECRET)
                yield from (self._fault(each, "template-password", message, _SECRET) for each in secrets)

    def _output(self, node: nodes.Expr, local: Mapping[str, _Value], present: _Present) -> Iterator[Fault]:
        if isinstance(node, nodes.TemplateData):
            return
        path = path_of(node) or ""
        if path == _SECRET and _SECRET in self._known and _SECRET not in local and self._field != "subject":
            return
        value, faults = self._value(node, local, present)
        yield from faults
        path = path or path_of(_unfiltered(node)) or ""
        if value.missing:
            what = f"`{path}`" if path else "this value"
            remedy = f"put it inside `{{% if {path} %}}`, or write" if path else "write"
            message = f'{what} may be missing, which would leave nothing here; {remedy} `{{{{ {path or "…"} or "…" }}}}`'
            yield self._fault(node, "template-missing-value", message, path, severity="warning")
        if value.type == "list":
            message = f'a list is not text; write `{path or "…"} | join(", ")`, or `{{% for … in {path or "…"} %}}`'
            yield self._refusal(node, message, path)
        elif value.type == "mixed":
            yield self._refusal(node, "this is sometimes a list and sometimes text")

    def _if(self, node: nodes.If, local: Mapping[str, _Value], present: _Present) -> Iterator[Fault]:
        for branch in (node, *node.elif_):
            yield from self._value(branch.test, local, present)[1]
            yes, no = _facts(branch.test)
            yield from self.body(branch.body, local, present | yes)
            present |= no
        yield from self.body(node.else_, local, present)

    def _for(self, node: nodes.For, local: Mapping[str, _Value], present: _Present) -> Iterator[Fault]:
        value, faults = self._value(node.iter, local, present)
        yield from faults
        if value.type != "unknown" and (value.type != "list" or path_of(node.iter) is None):
            lists = ", ".join(f"`{name}`" for name, known in self._known.items() if known.type == "list") or "no list"
            yield self._refusal(node, f"`for` needs a list; this mail has {lists}", "for")
        if not isinstance(node.target, nodes.Name) or not _LOCAL.fullmatch(node.target.name) or node.target.name == "loop":
            yield self._refusal(node, "the variable of a loop must be one name of ASCII letters and digits", "for")
            return
        if node.recursive:
            yield self._refusal(node, "a loop cannot be recursive", "recursive")
        within = {**local, node.target.name: _Value("text")}
        if node.test is not None:
            yield from self._value(node.test, within, present)[1]
        yield from self.body(node.body, {**within, **_LOOP}, present)
        yield from self.body(node.else_, local, present)

    def _value(  # noqa: PLR0911 - one return for each kind of expression
        self, node: nodes.Node, local: Mapping[str, _Value], present: _Present
    ) -> tuple[_Value, list[Fault]]:
        """Return what is known about an expression's value, and the expression's faults."""
        if isinstance(node, nodes.Const):
            return self._constant(node)
        if isinstance(node, nodes.Name | nodes.Getattr):
            return self._variable(node, local, present)
        if isinstance(node, nodes.Filter) and node.node is not None:
            return self._filter(node, local, present)
        if isinstance(node, nodes.Test):
            return self._test(node, local, present)
        if isinstance(node, nodes.Compare):
            return self._comparison(node, local, present)
        if isinstance(node, nodes.Not):
            return _Value("truth"), self._value(node.node, local, present)[1]
        if isinstance(node, nodes.And | nodes.Or):
            yes, no = _facts(node.left)
            left, faults = self._value(node.left, local, present)
            right, more = self._value(node.right, local, present | (yes if isinstance(node, nodes.And) else no))
            missing = right.missing or (left.missing and isinstance(node, nodes.And))
            return _either(left, right, missing), [*faults, *more]
        if isinstance(node, nodes.CondExpr):
            return self._choice(node, local, present)
        message = _EXPRESSIONS.get(type(node).__name__, "this is not allowed in a template")
        return _UNKNOWN, [self._refusal(node, message)]

    def _constant(self, node: nodes.Const) -> tuple[_Value, list[Fault]]:
        if isinstance(node.value, str):
            bad = _CONTROL.search(node.value) or (self._field == "subject" and "\n" in node.value)
            message = "a text in it contains a line break or a control character"
            return _Value("text"), [self._refusal(node, message)] if bad else []
        if node.value is None:
            return _Value("none", missing=True), []
        return _Value("truth" if isinstance(node.value, bool) else "number"), []

    def _variable(
        self, node: nodes.Name | nodes.Getattr, local: Mapping[str, _Value], present: _Present
    ) -> tuple[_Value, list[Fault]]:
        path = path_of(node)
        if path is None:
            return _UNKNOWN, [self._refusal(node, "only a variable has parts, as in `user.name`")]
        top = path.partition(".")[0]
        if path == _SECRET and _SECRET in self._known and _SECRET not in local:
            subject = "the subject cannot show the password: programs and servers display and log subjects"
            alone = "the password can only be shown unchanged, as `{{ password }}`"
            return _UNKNOWN, [self._fault(node, "template-password", subject if self._field == "subject" else alone, path)]
        known = local if top in local or (top == "loop" and "loop.index" in local) else self._known
        if path in known:
            value = known[path]
            return value._replace(missing=value.missing and path not in present), []
        return _UNKNOWN, [self._unknown(node, path[:100], known)]

    def _unknown(self, node: nodes.Node, path: str, known: Mapping[str, _Value]) -> Fault:
        parts = [name for name in known if name.startswith(f"{path}.")]
        if parts:
            message = f"`{path}` has parts; choose one of {', '.join(f'`{part}`' for part in parts)}"
            return self._fault(node, "template-variable", message, path)
        top, _, _ = path.rpartition(".")
        if top in known:
            return self._fault(node, "template-variable", f"`{top}` has no parts; unknown variable `{path}`", path, top)
        last = {name.rpartition(".")[2]: name for name in reversed([*known])}
        like = [name for part, name in last.items() if len(path) > 2 and path.casefold() in part.casefold()]
        longer = [name for name in known if "." in path and name.casefold().startswith(path.casefold())]
        suggestion = (
            last.get(path)
            or (longer[0] if len(longer) == 1 else None)
            or nearest(path, known)
            or last.get(nearest(path.rpartition(".")[2], last) or "")
            or (like[0] if len(like) == 1 else None)
        )
        hint = f"; did you mean `{suggestion}`?" if suggestion else f"; valid: {', '.join(f'`{name}`' for name in known)}"
        return self._fault(node, "template-variable", f"unknown variable `{path}`{hint}", path, suggestion)

    def _filter(self, node: nodes.Filter, local: Mapping[str, _Value], present: _Present) -> tuple[_Value, list[Fault]]:
        assert node.node is not None
        value, faults = self._value(node.node, local, present)
        known = FILTERS.get(node.name)
        if known is None:
            hint = did_you_mean(node.name, FILTERS) or f"; valid: {', '.join(FILTERS)}"
            return _UNKNOWN, [*faults, self._refusal(node, f"there is no filter `{node.name[:40]}`{hint}", node.name)]
        if value.type not in (*known.takes, "unknown"):
            what = f"{'an' if value.type == 'instant' else 'a'} {value.type}" if value.type in get_args(Type) else "this"
            faults.append(self._refusal(node, f"`{node.name}` cannot be applied to {what}", node.name))
        positional = not node.kwargs and node.dyn_args is None and node.dyn_kwargs is None
        if not positional or not known.needs <= len(node.args) <= len(known.arguments):
            return _UNKNOWN, [*faults, self._refusal(node, f"`{node.name}` has the wrong arguments: {known.meaning}", node.name)]
        if node.name == "default":
            instead, more = self._value(node.args[0], local, present)
            return _either(value, instead, instead.missing), [*faults, *more]
        for wanted, argument in zip(known.arguments, node.args, strict=False):
            faults += self._argument(node, argument, wanted)
        gone = (value.missing and known.gives == "text") or node.name == "first"
        return _Value(known.gives, missing=gone), faults

    def _argument(self, node: nodes.Filter, argument: nodes.Expr, wanted: type) -> list[Fault]:
        given = argument.value if isinstance(argument, nodes.Const) else None
        if type(given) is not wanted or (given == "" and argument is node.args[0] and node.name == "replace"):
            words = "text" if wanted is str else "number"
            return [self._refusal(node, f"`{node.name}` takes a literal {words}", node.name)]
        if isinstance(given, int) and not 0 < given <= 1_000:
            return [self._refusal(node, f"`{node.name}` takes a number from 1 to 1,000", node.name)]
        return self._constant(argument)[1] if isinstance(argument, nodes.Const) else []

    def _test(self, node: nodes.Test, local: Mapping[str, _Value], present: _Present) -> tuple[_Value, list[Fault]]:
        faults = self._value(node.node, local, present)[1]
        if node.name not in _TESTS or node.args or node.kwargs or node.dyn_args or node.dyn_kwargs:
            faults.append(self._refusal(node, f"the only tests are: {', '.join(f'`is {name}`' for name in _TESTS)}", node.name))
        return _Value("truth"), faults

    def _comparison(self, node: nodes.Compare, local: Mapping[str, _Value], present: _Present) -> tuple[_Value, list[Fault]]:
        left, faults = self._value(node.expr, local, present)
        for operand in node.ops:
            if operand.op in ("in", "notin"):
                if not isinstance(operand.expr, nodes.List | nodes.Tuple):
                    faults.append(self._refusal(node, '`in` must be followed by a literal list: `in ["a", "b"]`', "in"))
                    continue
                for item in operand.expr.items:
                    good = isinstance(item, nodes.Const)
                    faults += (
                        self._value(item, local, present)[1]
                        if good
                        else [self._refusal(item, "a list can contain only literal values")]
                    )
                continue
            right, more = self._value(operand.expr, local, present)
            faults += more
            types = {left.type, right.type}
            if types & {"list", "mixed"}:
                faults.append(self._refusal(node, "a list cannot be compared; compare its `length`"))
            elif operand.op not in ("eq", "ne") and (left.missing or right.missing or not types <= {"number", "unknown"}):
                faults.append(self._refusal(node, "only numbers can be greater or less than one another"))
            left = right
        return _Value("truth"), faults

    def _choice(self, node: nodes.CondExpr, local: Mapping[str, _Value], present: _Present) -> tuple[_Value, list[Fault]]:
        yes, no = _facts(node.test)
        faults = self._value(node.test, local, present)[1]
        first, more = self._value(node.expr1, local, present | yes)
        faults += more
        if node.expr2 is None:
            return _UNKNOWN, [*faults, self._refusal(node, "this `if` needs an `else`; without it, nothing might be shown", "if")]
        second, more = self._value(node.expr2, local, present | no)
        return _either(first, second, first.missing or second.missing), [*faults, *more]


def _column(line: str, near: str, tag: str) -> int:
    """Return the column (from 1) of a word in a line: in a tag that begins with `tag`, otherwise anywhere, otherwise 1."""
    words = re.compile(rf"(?<![\w.]){re.escape(near)}(?![\w])")
    tags = (found for found in _TAG.finditer(line) if found[0].startswith(tag))
    places = (match for found in tags if (match := words.search(line, found.start(), found.end())))
    place = next(places, None) or words.search(line)
    return place.start() + 1 if place else 1


def _either(first: _Value, second: _Value, missing: bool) -> _Value:
    """Return what is known about a value that is one of two: if their types differ, only that it can be shown."""
    types = {first.type, second.type} - {"none"}
    if types & {"list", "mixed"} and len(types) > 1:
        return _Value("mixed", missing)
    return _Value(types.pop() if len(types) == 1 else "text", missing)


def path_of(node: nodes.Node) -> str | None:
    """Return a variable's path, such as `user.name`; None for anything else."""
    parts: list[str] = []
    while isinstance(node, nodes.Getattr):
        parts.append(node.attr)
        node = node.node
    return ".".join([node.name, *reversed(parts)]) if isinstance(node, nodes.Name) else None


def _unfiltered(node: nodes.Node) -> nodes.Node:
    """Return the input of a chain of filters."""
    while isinstance(node, nodes.Filter) and node.node is not None:
        node = node.node
    return node


def _facts(test: nodes.Node) -> tuple[_Present, _Present]:
    """Return the variables that are present if a condition holds, and those that are if it does not."""
    path = path_of(test)
    if path is not None:
        return frozenset({path}), _NOTHING
    if isinstance(test, nodes.Not):
        yes, no = _facts(test.node)
        return no, yes
    if isinstance(test, nodes.And | nodes.Or):
        (left, not_left), (right, not_right) = _facts(test.left), _facts(test.right)
        both = isinstance(test, nodes.And)
        return (left | right, not_left & not_right) if both else (left & right, not_left | not_right)
    if isinstance(test, nodes.Test):
        path = path_of(test.node)
        known = frozenset({path}) if path is not None else _NOTHING
        return (known, _NOTHING) if test.name == "defined" else (_NOTHING, known)
    return _NOTHING, _NOTHING
