"""Target cameras as the text of an option asks for them: a preset's name, or a trajectory file."""

from dataclasses import dataclass
from pathlib import Path

from mvt4g.types import InputError


@dataclass(frozen=True)
class TargetCamera:
    """One target camera path.

    Attributes:
        text: As the option gives it.
        name: What results are called by: the preset's, the file's without its suffix, or ``FILE-CAMERA``.
        file: Of the path; None for a preset.
        camera: Which of ReCamMaster's cameras in the file; None where it holds one path.
    """

    text: str
    name: str
    file: Path | None = None
    camera: str | None = None

    @staticmethod
    def parse(text: str) -> "TargetCamera":
        """Understand "arc_left", "path.json" or ReCamMaster's "camera_extrinsics.json:cam03"."""
        path, separator, camera = text.rpartition(":")
        if separator and path.endswith(".json"):
            return TargetCamera(text, f"{Path(path).stem}-{camera}", Path(path), camera or None)
        if text.endswith(".json"):
            return TargetCamera(text, Path(text).stem, Path(text))
        return TargetCamera(text, text)


def target_cameras(texts: list[str] | str) -> tuple[TargetCamera, ...]:
    """Understand one text or a list.

    Raises:
        InputError: If there is none, or two have one name, under which their results would lie.
    """
    by_name: dict[str, TargetCamera] = {}
    for text in [texts] if isinstance(texts, str) else texts:
        choice = TargetCamera.parse(text)
        if choice.name in by_name:
            want = "names that tell results apart"
            raise InputError(f"trajectory: got two of one name {choice.name!r}, want {want}")
        by_name[choice.name] = choice
    if not by_name:
        raise InputError("trajectory: got an empty list, want at least one preset or file")
    return tuple(by_name.values())
