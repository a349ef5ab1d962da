"""The documentation is true: its Python code runs, its links lead somewhere."""

import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(
    path
    for folder in (".", "benchmarks", "cpp", "docs", "examples")
    for path in (ROOT / folder).glob("*.md")
)

FENCE = re.compile(r"^```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")


def python_blocks(document: Path) -> list[tuple[int, str]]:
    """Return (line of the first statement, code) of every ```python block."""
    text = document.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, match.start("code")) + 1, match["code"])
        for match in FENCE.finditer(text)
    ]


def relative_links(document: Path) -> list[str]:
    """Return the targets of the links that stay inside the project."""
    targets = LINK.findall(document.read_text(encoding="utf-8"))
    return [t for t in targets if not t.startswith(("http://", "https://", "#"))]


def name_of(document: Path) -> str:
    return document.relative_to(ROOT).as_posix()


WITH_CODE = [document for document in DOCUMENTS if python_blocks(document)]


def test_readme_contains_python_blocks() -> None:
    assert python_blocks(ROOT / "README.md")


@pytest.mark.parametrize("document", WITH_CODE, ids=name_of)
def test_python_blocks_run_in_order(
    document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # an example may save a file
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for line, code in python_blocks(document):
        # Padded with empty lines, so that a traceback shows the line of the document.
        exec(compile("\n" * (line - 1) + code, str(document), "exec"), namespace)


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_relative_links_lead_to_files(document: Path) -> None:
    targets = [target.partition("#")[0] for target in relative_links(document)]
    missing = [t for t in targets if not (document.parent / t).exists()]
    assert missing == []
