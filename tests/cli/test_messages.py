import ast
import string
from pathlib import Path

import pytest

from tests.messages import MO, PO, compiled, gathered, main, thai

TEXTS = [message for message in thai() if message.id]


def fields(text):
    """Return the names in braces."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_the_compiled_catalogue_is_the_written_one():
    assert MO.read_bytes() == compiled(thai()), "run: make messages"


def test_every_text_has_a_thai_translation():
    written = {message.id: message for message in TEXTS}
    missing = [
        message.id for message in gathered() if message.id and not any(written.get(message.id, message).string or ())
    ]
    assert missing == [], "translate these in agent/locale/th/LC_MESSAGES/roadside.po, then: make messages"


def test_no_text_stands_within_an_f_string_where_python_3_11_finds_none():
    project = Path(__file__).parents[2]
    within = [
        f"{path.relative_to(project)}:{call.lineno}"
        for folder in ("agent", "drivers", "hil")
        for path in (project / folder).rglob("*.py")
        for joined in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(joined, ast.JoinedStr)
        for call in ast.walk(joined)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in {"_", "N_", "ngettext"}
        if isinstance(call.args[0], ast.Constant)
    ]
    assert within == []


def test_nothing_is_translated_that_nobody_says():
    assert {message.id for message in TEXTS} <= {message.id for message in gathered()}, "run: make messages"


@pytest.mark.parametrize("message", TEXTS, ids=lambda message: str(message.id)[:60])
def test_a_translation_fills_in_the_same_values(message):
    originals = message.id if isinstance(message.id, tuple) else (message.id,)
    translations = message.string if isinstance(message.string, tuple) else (message.string,)
    for translation in translations:
        assert fields(translation) <= fields(originals[0]) | fields(originals[-1])
        assert fields(originals[0]) <= fields(translation)
        assert not message.fuzzy


@pytest.mark.parametrize(("argument", "status"), [("--help", 0), ("nonsense", 2)])
def test_whoever_asks_what_it_does_has_nothing_rewritten(argument, status, capsys):
    before = PO.stat().st_mtime_ns, MO.stat().st_mtime_ns
    with pytest.raises(SystemExit) as ended:
        main([argument])
    assert ended.value.code == status
    assert "tests.messages" in "".join(capsys.readouterr())
    assert (PO.stat().st_mtime_ns, MO.stat().st_mtime_ns) == before
