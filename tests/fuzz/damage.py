"""Damage to files as disks, editors, transfers and people do it, and values that mean nothing; all from a seed."""

import json
import random
import re
from collections.abc import Iterator
from typing import Any

_INSERTED = (
    *(b"<", b">", b"</x>", b"nan ", b"inf ", b"1e999 ", b"\0", b"\xff\xfe", b"&lt;", b"<!-- ", b"<![CDATA[", b'"'),
    *(b"[", b"-", b"*******", b" 1.0 ", b"\xef\xbb\xbf", b"\t", b": ", b"- ", b"&a ", b"*a ", b"---\n", b"'", b";\n"),
    *(b"!!python/name:os.system ", b"<<: *x\n", b"0x1F", b"190:20:30", b"loop_\n", b"data_\n", b"_x\n", b"?", b"."),
    b"{",
)
_NUMBERS = (b"nan", b"inf", b"-1", b"0", b"1e308", b"9" * 20, b"********", b"", b"1,5", b"1.0.0", b"1e-300")
_NUMBERS += (b"1e11", b"1e5", b"1e-9", b"-3.5", b"180")
_WORDS = (b"X", b"Zz", b"M1", b"Al", b"Og", b"?", b".", b"dum", b"T", b"F", b"Vac", b"P 1", b"r2SCAN")
VALUES: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 2**63, 10**30, 1e308, 1e-308, float("nan"), float("inf"), "", " ", "1", "Al", "~"),
    *("a" * 100_000, "../../etc/passwd", "/dev/null", "[red]x[/red]", "\x1b]0;x\x07", "\u202e", [], {}, [1], {"Al": 1}),
    *({"Xx": 1}, {"Al": -1}, {"Al": "1"}, {"@module": "os", "@class": "system"}, [[[]]], ["Al", "Al"], "{{x}}", "é"),
)


def damage_bytes(content: bytes, source: random.Random) -> bytes:
    """Damage a file in one place, or in eight."""
    body = bytearray(content or b"x")
    place = source.randrange(len(body))
    kind = source.choice(
        ("cut", "flip", "flip 8", "delete", "double", "insert", "insert", "zero", "number", "number", "word")
    )
    if kind == "cut":
        del body[place:]
    elif kind == "flip":
        body[place] ^= 1 << source.randrange(8)
    elif kind == "flip 8":
        for _ in range(8):
            body[source.randrange(len(body))] = source.randrange(256)
    elif kind == "delete":
        del body[place : place + source.choice((1, 10, 100, 5000))]
    elif kind == "double":
        body[place:place] = body[place : place + source.choice((1, 50, 3000))]
    elif kind == "insert":
        body[place:place] = source.choice(_INSERTED)
    elif kind == "zero":
        body[place : place + 16] = bytes(16)
    elif kind == "word" and (words := list(re.finditer(rb"[A-Za-z]\w*", bytes(body[:400_000])))):
        found = source.choice(words)
        body[found.start() : found.end()] = source.choice(_WORDS)
    elif numbers := list(re.finditer(rb"-?\d+\.\d+|\d+", bytes(body[:400_000]))):
        found = source.choice(numbers)
        body[found.start() : found.end()] = source.choice(_NUMBERS)
    return bytes(body)


def damage_tree(tree: Any, source: random.Random) -> Any:
    """Put values that mean nothing into a tree of dictionaries and lists, in one to four places."""
    tree = json.loads(json.dumps(tree))
    for _ in range(source.choice((1, 1, 1, 2, 4))):
        places = list(_places(tree))
        if not places:
            return tree
        parent, key = source.choice(places)
        kind = source.choice(("set", "set", "set", "delete", "double", "rename"))
        if kind == "set":
            parent[key] = source.choice(VALUES)
        elif kind == "delete":
            del parent[key]
        elif kind == "double":
            parent[key] = [parent[key], parent[key]]
        elif isinstance(parent, dict):
            parent[source.choice((f"{key}x", str(key).upper(), "1", ""))] = parent.pop(key)
    return tree


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in list(pairs):
        yield tree, key
        yield from _places(value)
