"""The picture of a report that the docs show, taken by headless Chromium.

python -m studies.screenshot RUN_FOLDER docs/images/report.png
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
COLOURS = 128


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("run", type=Path, help="a folder with report.html")
    words.add_argument("out", type=Path, help="the PNG file to write")
    words.add_argument("--width", type=int, default=1100)
    words.add_argument("--height", type=int, default=2085)
    options = words.parse_args()
    browser = next(filter(None, map(shutil.which, NAMES)), None)
    if browser is None:
        print(f"no browser found: none of {', '.join(NAMES)} is on the PATH", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "shot.png"
        subprocess.run(  # noqa: S603 - a browser from the PATH, on a file that the user names
            [
                browser,
                *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
                *("--disable-background-networking", "--disable-component-update"),
                *("--disable-sync", "--hide-scrollbars", f"--user-data-dir={folder}/profile"),
                f"--window-size={options.width},{options.height}",
                f"--screenshot={shot}",
                (options.run / "report.html").resolve().as_uri(),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )
        with Image.open(shot) as picture:
            small = picture.convert("RGB").quantize(COLOURS)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        small.save(options.out, optimize=True)
    print(f"{options.out}: {options.out.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
