"""What is wrong with a data set, how much of it, and what to do."""

from presize.data.check.copies import Copies
from presize.data.check.entries import Collection
from presize.data.check.judge_classes import class_findings
from presize.data.check.judge_copies import copy_findings
from presize.data.check.report import Finding, Severity
from presize.data.check.scan import Scan
from presize.data.check.statistics import Statistics
from presize.data.check.wording import amount, are, listed, picture

_ORDER: tuple[Severity, ...] = ("problem", "warning", "note")


def findings_of(data: Collection, scan: Scan, counts: Statistics, copies: Copies) -> list[Finding]:
    """Return what was noticed, problems first."""
    found = [
        *_unreadable(data, scan),
        *_empty_splits(counts),
        *copy_findings(data, scan, copies),
        *class_findings(data, counts),
        *_blank(data, scan),
        *_dark(data, scan),
        *_left_out(data),
    ]
    return sorted(found, key=lambda finding: _ORDER.index(finding.severity))


def _unreadable(data: Collection, scan: Scan) -> list[Finding]:
    n = len(scan.reasons)
    if not n:
        return []
    return [
        Finding(
            kind="unreadable",
            severity="problem",
            text=f"{amount(n, 'picture')} of {len(data.entries):,} cannot be read.",
            advice="Replace or delete them.",
            lines=[f"{picture(data, i)}: {why}" for i, why in scan.reasons.items()],
        )
    ]


def _empty_splits(counts: Statistics) -> list[Finding]:
    empty = [split for split, n in counts.splits.items() if not n]
    return [
        Finding(
            kind="empty_split",
            severity="problem",
            text=f"There are no pictures in {listed(empty)}.",
            advice="Put some there, or have a part of all pictures drawn for validation.",
        )
    ][: len(empty)]


def blank_pictures(scan: Scan) -> list[int]:
    """Return the positions of the pictures that are of one colour only."""
    # A spread of one gray level is what JPEG leaves of a plain colour.
    return [
        i
        for i, facts in enumerate(scan.facts)
        if facts is not None
        and scan.grays[i].std() < 1
        and (scan.chromas[i].max((0, 1)) - scan.chromas[i].min((0, 1)).astype(int)).max() <= 2
    ]


def _blank(data: Collection, scan: Scan) -> list[Finding]:
    blank = blank_pictures(scan)
    if not blank:
        return []
    n = len(blank)
    return [
        Finding(
            kind="blank",
            severity="warning",
            text=f"{amount(n, 'picture')} {are(n)} of one colour only.",
            advice="Delete what is a placeholder or a failed shot.",
            lines=[picture(data, i) for i in blank],
        )
    ]


def _dark(data: Collection, scan: Scan) -> list[Finding]:
    dark = [i for i, facts in enumerate(scan.facts) if facts is not None and facts.dark]
    if not dark:
        return []
    return [
        Finding(
            kind="dark",
            severity="warning",
            text=f"{amount(len(dark), '16-bit picture')} of which less than a sixteenth of the "
            "range is used: nearly black in 8 bits.",
            advice="Set the largest value, such as PILImage.white_level = 4095 for 12 bits.",
            lines=[picture(data, i) for i in dark],
        )
    ]


def _left_out(data: Collection) -> list[Finding]:
    if not data.left_out:
        return []
    n = sum(data.left_out.values())
    endings = sorted(data.left_out.items(), key=lambda pair: (-pair[1], pair[0]))
    kinds = listed([f"{count:,} {ending or 'without ending'}" for ending, count in endings[:5]])
    return [
        Finding(
            kind="left_out",
            severity="note",
            text=f"{amount(n, 'file')} {are(n)} left out, as no pictures by the ending: {kinds}.",
        )
    ]
