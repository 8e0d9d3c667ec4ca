"""The Python of README and docs, which runs as it stands."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def python_of(path):
    """Return the Python of a page or a notebook, its parts one after the other."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    cells = json.loads(text)["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def run_page(name, **changes):
    """Run the Python of a page, some of its words replaced."""
    code = python_of(ROOT / name)
    assert code, name
    for old, new in changes.items():
        assert old in code
        code = code.replace(old, new)
    exec(compile(code, name, "exec"), {"__name__": "page"})  # noqa: S102 - our own text


def commands_of(name):
    """Return what stands behind `art-disc` in a page's shell lines."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.findall(r"^ *art-disc (.+?)(?: +#.*)?$", text, re.MULTILINE)
