"""Look up many pictures in a collection that has none of them: whatever is claimed is claimed wrongly.

    python -m tools.bench_negatives COLLECTION QUERIES [--count N] [--features DETECTOR] [--forms few]
                                    [--twins FILE] [--workspace DIR] [--json FILE]

COLLECTION and QUERIES are folders of pictures of two makers. --twins names pairs that show the same, tab-separated,
each by the end of its path from a slash on; a claim of these counts as right.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from featmatch import Index
from featmatch.evaluation.running import evidence_of
from featmatch.features.forms import FORMS
from featmatch.images.folders import image_files

SEED = 1


def main() -> None:
    """Measure, and print what is claimed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("collection")
    parser.add_argument("queries")
    parser.add_argument("--count", type=int, help="so many of the queries, drawn by chance; default: all")
    parser.add_argument("--features", help="detector; default: sift")
    parser.add_argument("--forms", choices=FORMS, default="few", help="other forms of a query that are tried")
    parser.add_argument("--twins", type=Path, help="pairs that show the same")
    parser.add_argument("--workspace", type=Path, help="kept, with the index")
    parser.add_argument("--json", type=Path, help="write the claims, with their evidence, to this file")
    asked = parser.parse_args()
    files = list(image_files((asked.queries,)))
    chosen = np.random.default_rng(SEED).permutation(len(files))[: asked.count]
    with tempfile.TemporaryDirectory(prefix="featmatch-") as temporary:
        folder = Path(os.path.abspath(asked.workspace or temporary)) / "index"
        folder.parent.mkdir(parents=True, exist_ok=True)
        index = Index.open(folder, create=True, features=asked.features)
        index.add(list(image_files((asked.collection,))), jobs=1)
        claims = list(claimed(index, [files[place] for place in sorted(chosen.tolist())], asked))
    if asked.json:
        asked.json.write_text(json.dumps(claims, indent=1))
    for one in claims:
        print(f"{one['probability']:.3f}  {one['query']}  {one['name']}  {one['relation']}")
    print(f"{len({one['query'] for one in claims})} of {len(chosen)} queries have a claim")


def claimed(index: Index, files: list[str], asked: argparse.Namespace) -> Iterator[dict[str, object]]:
    """What is claimed of these files, and is not known to be right."""
    twins = [line.split("\t") for line in asked.twins.read_text().splitlines()] if asked.twins else []
    for file in files:
        for match in index.query(file, forms=asked.forms):
            pair = (file, index.path_of(match.name) or match.name)
            if not any(_are(pair, a, b) or _are(pair, b, a) for a, b in twins):
                yield {
                    "query": file, "name": match.name, "probability": match.probability,
                    "relation": str(match.relation), "evidence": evidence_of(match),
                }  # fmt: skip


def _are(pair: tuple[str, str], first: str, second: str) -> bool:
    return pair[0].endswith(first) and pair[1].endswith(second)


if __name__ == "__main__":
    main()
