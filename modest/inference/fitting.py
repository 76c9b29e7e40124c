"""Predict pictures whose background is made to fit first, and report how well it fits.

The report of a picture has these JSON values:

    mismatch          `agreement.mismatch` outside of the predicted mask, with the background that
                      was used; None if there is too little texture to tell
    mismatch_before   the same with the background as it was given; only if it was changed
    alignment         what was changed, see `alignment.Alignment`; None for nothing
    compared_in_grey  true if only one of the two pictures has colours, which were then left out
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from modest.data import images
from modest.inference import agreement, alignment
from modest.inference.alignment import Aligned
from modest.inference.predict import BATCH, Maps, Predictor

LIMIT = 0.25  # largest mismatch of a background that shows the same view


class Result(NamedTuple):
    """The prediction of one picture.

    Attributes:
      name: of the picture.
      picture: uint8 `[H,W,3]`.
      maps: as `Predictor` returns them; the mask is 0 where it is unknown.
      unknown: bool `[H,W]`, where the background does not reach; None for nowhere.
      report: see the module.
    """

    name: str
    picture: np.ndarray
    maps: Maps
    unknown: np.ndarray | None
    report: dict[str, Any]

    @property
    def has_unknown(self) -> bool:
        """Whether the background does not reach all of the picture."""
        return self.unknown is not None and bool(self.unknown.any())


def fits(report: Mapping[str, Any]) -> bool:
    """Return whether a background shows the view of the picture, as far as can be told."""
    return (report["mismatch"] or 0.0) <= LIMIT


def summarise(reports: Mapping[str, Mapping[str, Any]]) -> str:
    """Return in a line how well backgrounds fit.

    Args:
      reports: of each picture, by name, see the module.
    """
    scores = {name: report["mismatch"] for name, report in reports.items()}
    known = {name: score for name, score in scores.items() if score is not None}
    if not known:
        return "too little texture to tell whether the background shows the same view"
    worst = max(known, key=lambda name: known[name])
    of = f" ({worst})" if len(reports) > 1 else ""
    text = f"mismatch of the background: at most {known[worst]:.2f}{of}; {LIMIT} is the limit"
    if in_grey := sum(report["compared_in_grey"] for report in reports.values()):
        text += f"; {in_grey} of {len(reports)} compared in grey, as only one picture has colours"
    changed = [report["alignment"] for report in reports.values() if report["alignment"]]
    if changed:
        motion = max(alignment_["motion"] for alignment_ in changed)
        text += f"; aligned for {len(changed)} of {len(reports)}, by up to {motion:.1f} px"
    return text


def predictions(
    predictor: Predictor,
    bg: np.ndarray,
    named: Iterable[tuple[str, np.ndarray]],
    align: str = "auto",
    each: bool = False,
    batch: int = BATCH,
) -> Iterator[Result]:
    """Predict pictures of one view.

    If only one of a background and a picture has colours, both are compared in grey.

    Args:
      predictor: the network.
      bg: the background, uint8 `[H,W,3]`.
      named: pairs `(name, picture)`; pictures are uint8 `[H,W,3]`.
      align: see `alignment.align`.
      each: fit the background to every picture, instead of once, to the first one that shows its
        view. The background is then encoded again for every picture.
      batch: number of pictures that go through the network together, unless `each`.

    Yields:
      A `Result` for each picture, in order.

    Raises:
      InputError: a picture is not uint8 `[H,W,3]`, or differs from the background in size; or
        OpenCV is not installed, and `align` is "always".
    """
    images.check_picture(bg, "bg")
    bg_is_grey, named = images.is_grey(bg), _checked(bg, named)
    for is_alike, group in itertools.groupby(named, lambda x: images.is_grey(x[1]) == bg_is_grey):
        if is_alike:
            yield from _of_one_kind(predictor, bg, group, align, each, batch)
            continue
        in_grey = ((name, images.to_grey(picture)) for name, picture in group)
        for result in _of_one_kind(predictor, images.to_grey(bg), in_grey, align, each, batch):
            yield result._replace(report=result.report | {"compared_in_grey": True})


def _checked(bg, named):
    for name, picture in named:
        images.check_pair(bg, picture, name)
        yield name, picture


def _of_one_kind(predictor, bg, named, align, each, batch):
    """Predict pictures that are all grey, as the background is, or all coloured, as it is."""
    for name, picture in named:
        aligned = alignment.align(bg, picture, align)
        # A picture that does not fit, or that figures fill, is no example for the next ones.
        is_example = not each and (
            align == "off" or agreement.compare(aligned.bg, picture).is_one_view
        )
        if not is_example:
            yield _result(name, picture, bg, aligned, predictor(aligned.bg, picture))
            continue
        pictures = itertools.chain([(name, picture)], named)
        for predicted in predictor.sequence(aligned.bg, pictures, batch):
            yield _result(*predicted[:2], bg, aligned, predicted[2])


def _result(name: str, picture: np.ndarray, bg: np.ndarray, aligned: Aligned, maps: Maps) -> Result:
    unknown = None
    if aligned.covered is not None:
        unknown = ~aligned.covered
        maps = maps | {"mask": np.where(unknown, np.float32(0), maps["mask"])}
    hidden = maps["mask"] if unknown is None else np.maximum(maps["mask"], unknown)
    report: dict[str, Any] = {
        "mismatch": agreement.mismatch(aligned.bg, picture, hidden),
        "alignment": None,
        "compared_in_grey": False,
    }
    if aligned.alignment is not None:
        report["mismatch_before"] = agreement.mismatch(bg, picture, hidden)
        report["alignment"] = aligned.alignment.as_json()
    return Result(name, picture, maps, unknown, report)
