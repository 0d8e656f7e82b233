"""Measure whether `query`, `verify A B` and `verify B A` claim the same, on the pairs of the suites of an evaluation.

    python -m tools.bench_agreement PHOTOS [--distractors PATH]... [--suite NAME]... [--count N] [--seed N]
                                    [--forms few] [--verify-forms all] [--workspace DIR] [--json FILE]

Of each query of a suite (`featmatch evaluate`) these pairs are compared:

    true     the query and the image that it shows
    sister   the query and the best answer that has its design and another content
    wrong    the query and the best answer that is neither, if there is any
    shared   the same, where the index shows that others have as well what the two have in common: a caption, a design

A query sees its index, and with it whether a design recurs; `verify` sees two pictures. So they may differ on sisters
and on what is shared, and should not on the others. Other forms are tried by `verify` where they may matter: of pairs
that are true, that `query` claims, or that have a probability of 0.01 as they are.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import featmatch
from featmatch.evaluation.running import Photos, evaluate, evidence_of, index_of
from featmatch.evaluation.trials import SUITES, EvaluationOptions, Made, Plan, Trial, make
from featmatch.features.forms import FORMS
from featmatch.images.pixels import ImageSource
from featmatch.search.matches import Match

KINDS = ("true", "wrong", "shared", "sister")
_MAY_MATTER = 0.01  # probability of a pair as it is


@dataclass(frozen=True)
class Said:
    """What was said of a pair.

    Attributes:
        suite: whose query it is.
        number: of the query.
        positive: whether what it shows is in the index.
        recipe: what was done to it.
        kind: of the pair, one of ``KINDS``.
        name: of the other image.
        probabilities: by `query` (0 where it is not listed), `verify` query first, and query last.
        claims: the same, whether each claims it.
        reasons: what the two verifications say.
        evidence: of the query.
        of_pair: evidence of the first verification.
    """

    suite: str
    number: int
    positive: bool
    recipe: str
    kind: str
    name: str
    probabilities: tuple[float, float, float]
    claims: tuple[bool, bool, bool]
    reasons: tuple[str, str]
    evidence: dict[str, float | None] | None
    of_pair: dict[str, object] | None

    @property
    def agrees(self) -> bool:
        """Whether all three claim the same."""
        return len(set(self.claims)) == 1


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--distractors", action="append", default=[], help="index these as well; repeatable")
    parser.add_argument("--suite", dest="suites", action="append", choices=SUITES, help="repeatable; all by default")
    parser.add_argument("--count", type=int, default=80, help="positives, and as many negatives, of each suite")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--forms", choices=FORMS, default="few", help="other forms that `query` tries")
    parser.add_argument("--verify-forms", choices=FORMS, default="all", help="other forms that `verify` tries")
    parser.add_argument("--workspace", type=Path, help="kept, with the indexes")
    parser.add_argument("--json", type=Path, help="write all pairs to this file")
    asked = parser.parse_args()
    options = EvaluationOptions(
        suites=tuple(asked.suites or SUITES), count=asked.count, seed=asked.seed, limit=1000, forms=asked.forms
    )
    with tempfile.TemporaryDirectory(prefix="featmatch-") as temporary:
        workspace = Path(os.path.abspath(asked.workspace or temporary))
        photos = Photos((str(asked.photos),), asked.distractors)
        said = list(_all_said(photos, workspace, options, asked.verify_forms))
    if asked.json:
        asked.json.write_text(json.dumps([dataclasses.asdict(one) for one in said], indent=1))
    print(table(said))


def _all_said(
    photos: Photos, workspace: Path, options: EvaluationOptions, verify_forms: featmatch.Forms
) -> Iterator[Said]:
    none = dataclasses.replace(options, count=1)
    plan = dataclasses.replace(evaluate(photos, workspace, none, jobs=1).plan, options=options)
    for suite in options.suites:
        for positive in (True, False):
            for number in range(options.count):
                yield from _said_of(Trial(suite, number, positive), plan, workspace, verify_forms)


def _said_of(trial: Trial, plan: Plan, workspace: Path, forms: featmatch.Forms) -> Iterator[Said]:
    made, index = make(trial, plan), index_of(trial.suite, workspace)
    found = index.query(made.picture, unproven=True, limit=plan.options.limit, forms=plan.options.forms)
    matches = {os.path.abspath(index.path_of(one.name) or one.name): one for one in found}
    for kind, name in _pairs(made, matches, workspace):
        match = matches.get(name)
        sure = kind == "true" or (match is not None and match.proven)
        there = _verified(made.picture, name, forms, sure)
        back = _verified(name, made.picture, forms, sure)
        told = "shared" if kind == "wrong" and match and _recurs(match) else kind
        yield Said(
            trial.suite, trial.number, trial.positive, made.recipe, told, name,
            (match.probability if match else 0.0, there.probability, back.probability),
            (match is not None and match.proven, bool(there), bool(back)),
            (there.reason, back.reason), evidence_of(match) if match else None,
            there.proof.evidence.to_dict() if there.proof else None,
        )  # fmt: skip


def _verified(a: ImageSource, b: ImageSource, forms: featmatch.Forms, sure: bool) -> featmatch.Verification:
    """What `verify` says, as the pictures are; in other forms as well, if that is ``sure`` to matter, or may."""
    plain = featmatch.verify(a, b, forms="none")
    return plain if plain or not (sure or plain.probability >= _MAY_MATTER) else featmatch.verify(a, b, forms=forms)


def _pairs(made: Made, matches: dict[str, Match], workspace: Path) -> Iterator[tuple[str, str]]:
    """Kinds and files of the images that the query is compared with."""
    sources, sisters, kin = (
        {os.path.join(workspace, name) for name in some} for some in (made.sources, made.sisters, made.kin)
    )
    yield from (("true", name) for name in sorted(sources))
    shown = sources | kin | {os.path.join(workspace, name) for name in (made.photo, *made.others)}
    yield from (("sister", name) for name in [one for one in matches if one in sisters][:1])
    yield from (("wrong", name) for name in [one for one in matches if one not in sisters and one not in shown][:1])


def _recurs(match: Match) -> bool:
    """Whether the index says that others share what an image shares with the query."""
    evidence = match.proof.evidence
    return evidence.is_sister or evidence.distinct < evidence.geometry


def table(said: list[Said]) -> str:
    """How many pairs of each kind agree, and how the others do not."""
    lines = ["| suite | pairs | all claim the same | `query` only | `verify` only | one direction only |"]
    lines.append("| --- | ---: | ---: | ---: | ---: | ---: |")
    for suite in [*dict.fromkeys(one.suite for one in said), "all"]:
        for kind in KINDS:
            some = [one for one in said if suite in (one.suite, "all") and one.kind == kind]
            if some:
                how = Counter(_how(one) for one in some)
                cells = [f"{len(some)} {kind}", f"{100 * how['same'] / len(some):.1f} %"]
                cells += [str(how[one]) for one in ("query", "verify", "direction")]
                lines.append(f"| {suite} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _how(said: Said) -> str:
    query, there, back = said.claims
    if there != back:
        return "direction"
    return "same" if query == there else "query" if query else "verify"


if __name__ == "__main__":
    main()
