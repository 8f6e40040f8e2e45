"""Commands are declared in `cli/` and implemented in `commands/`: both say the same, and only a call imports both."""

import ast
import inspect
from collections.abc import Callable
from pathlib import Path

import pytest
from command_lines import commands

from campaign.commands.decisions import SHOWN
from campaign.commands.serve import TOKEN_VARIABLE
from esnet.cli.lazy import implementation, implemented_in

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("campaign/cli", "campaign/commands", "esnet/cli", "esnet/commands")
FILES = [path for folder in FOLDERS for path in sorted((ROOT / folder).glob("*.py"))]
CALLED = {words: found.callback for words, found in commands().items() if not hasattr(found, "commands")}


@pytest.mark.parametrize("words", CALLED)
def test_a_command_is_implemented_with_the_parameters_that_it_declares(words):
    declared, does = inspect.signature(CALLED[words]), inspect.signature(implementation(CALLED[words]))
    assert list(does.parameters) == list(declared.parameters)
    for found in does.parameters.values():
        assert found.kind is inspect.Parameter.KEYWORD_ONLY, found
        assert found.default is inspect.Parameter.empty, f"{found}: the declaration alone has defaults"


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])
def test_no_function_of_the_command_line_imports(path):
    functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
    inner = {
        node.lineno for each in functions for node in ast.walk(each) if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert not inner, "a command's module is imported only when it is called: imports belong at its top"


@pytest.mark.parametrize(
    ("words", "option", "said"),
    [("campaign serve", "with_token", f"${TOKEN_VARIABLE}"), ("campaign decide", "all_rows", f"the first {SHOWN}")],
)
def test_help_says_the_values_of_the_implementation(words, option, said):
    (found,) = (each for each in commands()[words].params if each.name == option)
    assert said in found.help


def test_a_call_passes_everything_on_and_gives_back_what_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "of_this_test.py").write_text("def double(*, number):\n    return 2 * number\n")
    monkeypatch.syspath_prepend(tmp_path)

    @implemented_in("of_this_test")
    def double(number: int) -> int:
        """Double a number."""

    called: Callable[..., int] = double
    assert called(number=21) == 42
    assert called.__doc__ == "Double a number."
