"""What is known of a video, or of a directory of pictures, after it has been read."""

import dataclasses
import pathlib
from fractions import Fraction

from modest.errors import IncompleteError

SHOWN = 5  # unusable pictures that a message lists


@dataclasses.dataclass
class Clip:
    """What is known of a video, or of a directory, after its pictures have been read.

    Attributes:
      rate: of a video, its average number of frames in a second; None for a directory.
      times: of a video, the time of each frame in seconds, from that of the first, by its name.
      promised: number of frames that a video claims to have; 0 if it does not.
      is_estimate: whether `promised` follows from the duration only.
      is_damaged: whether some data of a video cannot be decoded or is cut off.
      unusable: what is wrong with each picture of a directory that cannot be used.
    """

    rate: Fraction | int | None = None
    times: dict[str, float] = dataclasses.field(default_factory=dict)
    promised: int = 0
    is_estimate: bool = False
    is_damaged: bool = False
    unusable: list[str] = dataclasses.field(default_factory=list)

    def problem(self, path: str | pathlib.Path) -> str:
        """Return in a line which pictures or promised frames were not used; empty if all were.

        Args:
          path: what the line calls the video or the directory.
        """
        if self.unusable:
            shown = "; ".join(self.unusable[:SHOWN]) + "; ..." * (len(self.unusable) > SHOWN)
            count = len(self.unusable)
            were = "picture was" if count == 1 else "pictures were"
            return f"{path}: {count} {were} left out: {shown}"
        gave = f"{len(self.times)}"
        if len(self.times) < self.promised:
            gave += f" of {'about ' * self.is_estimate}{self.promised}"
        elif not self.is_damaged:
            return ""
        return f"{path}: gave {gave} frames; the file is truncated or damaged"

    def check(self, path: str | pathlib.Path) -> None:
        """Raise `IncompleteError` if there is a `problem`."""
        if problem := self.problem(path):
            raise IncompleteError(problem)
