"""Which commit of the repository the running code is of."""

import hashlib
import os
import subprocess
from functools import cache
from pathlib import Path

UNKNOWN = "unknown"
_ROOT = Path(__file__).parents[2]
# results, pages and tests may differ: they decide no number
CODE = ("art_disc", "studies/*.py")


@cache
def commit() -> str:
    """Return the commit of the code that this process runs, as it was at the first call."""
    return commit_of(_ROOT)


def commit_of(root: Path) -> str:
    """Return the commit of a checkout of this repository.

    Returns:
        Forty hex digits; then `-dirty-` and a digest of the changes where the package or a study
        differs from that commit. `unknown`: no checkout (an installed wheel), or no git.
    """
    # a parent folder's repository is another one, a virtual environment's for example
    head = git(root, "rev-parse", "HEAD") if (root / ".git").exists() else None
    if head is None:
        return UNKNOWN
    name, changes = head.decode().strip(), _changes(root)
    return f"{name}-dirty-{hashlib.sha256(changes).hexdigest()[:12]}" if changes else name


def _changes(root: Path) -> bytes:
    """Return what differs from the commit, files that git does not know among them."""
    differ = git(root, "diff", "--no-ext-diff", "--binary", "HEAD", "--", *CODE) or b""
    new = git(root, "ls-files", "-z", "--others", "--exclude-standard", "--", *CODE) or b""
    names = [name for name in new.split(b"\0") if name]
    return differ + b"".join(name + (root / os.fsdecode(name)).read_bytes() for name in names)


def git(root: Path, *words: str) -> bytes | None:
    """Return what a git command prints in `root`; None if it fails or there is no git."""
    # inside a hook these would lead to the hook's repository
    outside = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        command = ["git", "-C", str(root), *words]
        return subprocess.run(command, check=True, capture_output=True, env=outside).stdout  # noqa: S603 - our words
    except (OSError, subprocess.CalledProcessError):
        return None
