"""The Python blocks of README.md and docs/ run as they stand, page by page."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# A block whose fence says `python no-run` needs a file or names that only a reader has.
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = {
    page.relative_to(ROOT).as_posix(): BLOCK.findall(page.read_text(encoding="utf-8"))
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
}


@pytest.mark.parametrize("page", [page for page, blocks in PAGES.items() if blocks])
def test_code_blocks_run(page, capsys):
    names = {"__name__": "__main__"}
    for block in PAGES[page]:
        exec(compile(block, page, "exec"), names)
    assert capsys.readouterr().out


def test_pages_with_code_are_found():
    assert PAGES["README.md"] and PAGES["docs/quick_start.md"] and PAGES["docs/algorithm.md"]
