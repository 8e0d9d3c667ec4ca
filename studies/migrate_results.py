"""Carry result files of schema version 2 over to version 3, in place.

    python -m studies.migrate_results [FILE ...]        default: every file of studies/results

Version 3 says `summary` where a check's result said `told`, and makes records of what were plain
files, Figure 5 and the studies. Numbers stay as they are. Every file is read as the record that it
has become before it is replaced. What `art-disc hardness` wrote did not say where it was made; run
it again.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from art_disc.core.files import read_json, replace_file
from art_disc.core.records import record_class
from art_disc.reproduction.figure5 import TITLE
from studies.common import RESULTS

OLD, NEW = 2, 3
ABOUT = ("study", "date", "machine", "environment")


def migrated(body: dict[str, Any]) -> dict[str, Any]:
    """Return the body of a record of version 3; one that is of version 3 already comes back."""
    if body.get("schema_version") == NEW:
        return body
    body = renamed(body)
    if "study" in body:
        body = body["record"] if "record" in body else of_study(body)
    elif "figure" in body:
        body = {"kind": "equivalence classes", "figure": body["figure"], "title": TITLE} | body
    elif body.get("schema_version") != OLD:
        msg = f"expected a record of version {OLD} or a study's result, got {sorted(body)[:5]}"
        raise SystemExit(msg)
    return {"kind": body["kind"], "schema_version": NEW} | without(body, "kind", "schema_version")


def of_study(body: dict[str, Any]) -> dict[str, Any]:
    about = {"kind": "study", "name": body["study"], "machine": body["machine"]}
    return about | {"results": without(body, *ABOUT), "environment": body["environment"]}


def without(body: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in names}


def renamed(value: Any) -> Any:
    """Say `summary` for a check's `told`, wherever in the body."""
    if isinstance(value, list):
        return [renamed(part) for part in value]
    if not isinstance(value, dict):
        return value
    check = {"status", "told"} <= value.keys()
    return {"summary" if check and k == "told" else k: renamed(v) for k, v in value.items()}


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("files", nargs="*", type=Path)
    for path in words.parse_args().files or sorted(RESULTS.rglob("*.json")):
        indent = 1 if "\n " in path.read_text(encoding="utf-8") else None
        body = migrated(read_json(path))
        record_class(body["kind"]).from_dict(body, where=str(path))
        replace_file(path, (json.dumps(body, indent=indent) + "\n").encode())
        print(f"{path}: {body['kind']}")


if __name__ == "__main__":
    main()
