"""Reads the pickle of a PyTorch checkpoint, and runs none of it.

A pickle is a program for a stack machine that may import and call whatever it names.
Here it is interpreted by hand: the opcodes that a dict of tensors needs and no
others, nothing imported, nothing called. What a file asks for beyond that is refused
by name, so no file can run code.
"""

import pickletools
from dataclasses import dataclass


class Refused(Exception):
    """The file is not what it should be; the message says how."""


@dataclass(frozen=True)
class Global:
    """A name that the pickle wants imported. It never is."""

    module: str
    name: str

    def __str__(self):
        return f"{self.module}.{self.name}"


@dataclass(frozen=True)
class Storage:
    """Where numbers lie: the class that holds them, their name, how many."""

    kind: str
    key: str
    count: int


@dataclass(frozen=True)
class Tensor:
    """What a tensor is made of: numbers from `offset` of a storage, row by row."""

    storage: Storage
    offset: int
    shape: tuple


ORDERED_DICT = Global("collections", "OrderedDict")
REBUILD_TENSOR = Global("torch._utils", "_rebuild_tensor_v2")
_MARK = object()


def describe(value):
    """Names what a pickle made, for an error's sake."""
    return f"the name {value}" if isinstance(value, Global) else type(value).__name__


def interpret(file):
    """Runs one pickle by hand, as far as the plain data of tensors goes.

    Args:
        file: binary, open where the pickle begins; left open where it ends.
    Returns:
        what the pickle makes: dicts, lists, tuples, numbers, strings, and `Tensor`
        and `Global` in place of what it would have made of them.
    Raises:
        Refused: if it asks for anything else.
    """
    stack, memo = [], {}
    try:
        for opcode, argument, _ in pickletools.genops(file):
            if opcode.name == "STOP":
                return stack.pop()
            _step(opcode.name, argument, stack, memo)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
        raise Refused(f"its pickle is damaged: {error}") from error
    raise Refused("its pickle is damaged: it never stops")


def _step(opcode, argument, stack, memo):
    """Carries out one opcode of a pickle."""
    match opcode:
        case "PROTO" | "FRAME":
            pass
        case (
            "BINUNICODE" | "SHORT_BINUNICODE" | "BINUNICODE8"
            | "BINSTRING" | "SHORT_BINSTRING"
            | "BININT" | "BININT1" | "BININT2" | "LONG1" | "LONG4" | "BINFLOAT"
        ):  # fmt: skip
            stack.append(argument)
        case "NONE":
            stack.append(None)
        case "NEWTRUE" | "NEWFALSE":
            stack.append(opcode == "NEWTRUE")
        case "MARK":
            stack.append(_MARK)
        case "EMPTY_DICT":
            stack.append({})
        case "EMPTY_LIST":
            stack.append([])
        case "EMPTY_TUPLE":
            stack.append(())
        case "TUPLE":
            stack.append(tuple(_pop_to_mark(stack)))
        case "TUPLE1" | "TUPLE2" | "TUPLE3":
            count = int(opcode[-1])
            items = tuple(stack[-count:])
            del stack[-count:]
            stack.append(items)
        case "APPEND":
            item = stack.pop()
            stack[-1].append(item)
        case "APPENDS":
            items = _pop_to_mark(stack)
            stack[-1].extend(items)
        case "SETITEM":
            items = [stack.pop(-2), stack.pop()]
            _set_items(stack[-1], items)
        case "SETITEMS":
            items = _pop_to_mark(stack)
            _set_items(stack[-1], items)
        case "BINPUT" | "LONG_BINPUT":
            memo[argument] = stack[-1]
        case "MEMOIZE":
            memo[len(memo)] = stack[-1]
        case "BINGET" | "LONG_BINGET":
            stack.append(memo[argument])
        case "GLOBAL":
            stack.append(Global(*argument.split(" ", 1)))
        case "STACK_GLOBAL":
            name, module = stack.pop(), stack.pop()
            stack.append(Global(_text(module), _text(name)))
        case "BINPERSID":
            stack.append(_storage(stack.pop()))
        case "REDUCE":
            arguments, function = stack.pop(), stack.pop()
            stack.append(_rebuild(function, arguments, stack))
        case "BUILD":  # a state dict's `_metadata`, versions of its modules
            stack.pop()
            if not isinstance(stack[-1], dict):
                raise Refused(f"sets the state of {describe(stack[-1])}{_at(stack)}")
        case _:
            raise Refused(f"opcode {opcode} has no place among tensors{_at(stack)}")


def _pop_to_mark(stack):
    """Takes all above the last mark off the stack, and the mark."""
    start = len(stack) - 1 - stack[::-1].index(_MARK)
    items = stack[start + 1 :]
    del stack[start:]
    return items


def _set_items(target, items):
    for name, value in zip(items[::2], items[1::2], strict=True):
        # Hashing anything else that a file made up may never end.
        if _text(name) in target:
            raise Refused(f"holds {name!r} twice")
        target[name] = value


def _storage(identity):
    """The storage that a persistent id describes; the sixth field marks a view."""
    tag, kind, key, _, count, *view = identity
    is_storage = tag == "storage" and view in ([], [None])
    typed = (isinstance(kind, Global), isinstance(key, str), type(count) is int)
    if not is_storage or not all(typed):
        raise Refused("holds a persistent id that is no storage")
    return Storage(kind.name, key, count)


def _rebuild(function, arguments, stack):
    """What the only two functions a dict of tensors needs would have made."""
    if function == ORDERED_DICT and arguments == ():
        return {}
    if function == REBUILD_TENSOR:
        return _tensor(*arguments[:4], stack)
    raise Refused(
        f"asks to call {describe(function)}{_at(stack)}; a file of tensors has no "
        "need of that: do not trust it"
    )


def _tensor(storage, offset, shape, strides, stack):
    numbers = (storage.count, offset, *shape, *strides)
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise Refused(f"a malformed tensor{_at(stack)}")
    count = 1
    for size, stride in zip(shape[::-1], strides[::-1], strict=True):
        if size > 1 and stride != count:
            raise Refused(
                f"a transposed tensor{_at(stack)}: expected its numbers row by row; "
                "save tensor.contiguous()"
            )
        count *= size
    if offset + count > storage.count:
        raise Refused(f"a tensor that reaches outside its own numbers{_at(stack)}")
    return Tensor(storage, offset, shape)


def _text(value):
    if not isinstance(value, str):
        raise Refused(f"a name must be a string, found {describe(value)}")
    return value


def _at(stack):
    """Where in the dict that is being filled, for an error's sake."""
    names = [value for value in stack if isinstance(value, str)]
    return f" at {names[-1]!r}" if names else ""
