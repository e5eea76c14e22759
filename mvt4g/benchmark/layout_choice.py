"""Which layout the videos of a method are read by: told, or from the folder's name and the files in it.

``--layout`` takes ``auto``, a layout's name, a list of ``METHOD=LAYOUT`` parted by commas, or a YAML file:

    layouts:
      tuned:                       # a layout of one's own; what it does not say is as in its base
        base: gen3c
        relative_to: source_start
        patterns: ["{clip}_{camera}"]
    methods: {gen3c_mapped: tuned}
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mvt4g.commands.parsing.parser import OneLineParser
from mvt4g.formats.foreign.video_layouts import VideoLayout
from mvt4g.formats.foreign.video_names import read_name
from mvt4g.formats.foreign.video_programs import PLAIN, VIDEO_LAYOUTS
from mvt4g.formats.parsing.yaml_files import read_yaml
from mvt4g.types import InputError

AUTO = "auto"
_WANT = "a YAML file of layouts: layouts, methods"


@dataclass(frozen=True)
class LayoutChoice:
    """Which layout is whose.

    Attributes:
        known: Layouts by name.
        by_method: Names of layouts by folder.
        every: The layout of all other folders; None = as their names and files tell.
    """

    known: Mapping[str, VideoLayout] = field(default_factory=lambda: VIDEO_LAYOUTS)
    by_method: Mapping[str, str] = field(default_factory=dict)
    every: str | None = None

    @staticmethod
    def parse(text: str) -> "LayoutChoice":
        """Understand the option ``--layout``.

        Raises:
            InputError: If it names no layout, or the file is broken.
        """
        if text == AUTO:
            return LayoutChoice()
        if text in VIDEO_LAYOUTS:
            return LayoutChoice(every=text)
        if text.lower().endswith((".yaml", ".yml")):
            return _read_layouts(Path(text))
        pairs = [part.partition("=") for part in text.split(",")]
        if not all(equals and method for method, equals, _ in pairs):
            want = f"{AUTO}, METHOD=LAYOUT, a .yaml file, or one of {', '.join(VIDEO_LAYOUTS)}"
            raise InputError(f"layout: got {text!r}, want {want}")
        choice = LayoutChoice(by_method={method: layout for method, _, layout in pairs})
        choice.check("layout")
        return choice

    def check(self, where: str) -> None:
        """Check that every name is that of a layout.

        Raises:
            InputError: Naming where.
        """
        for name in (*self.by_method.values(), *([] if self.every is None else [self.every])):
            if name not in self.known:
                raise InputError(f"{where}: got layout {name!r}, want one of {', '.join(self.known)}")

    def of_folder(self, name: str, files: Sequence[str]) -> VideoLayout:
        """Return the layout of a method's folder.

        Without being told, it is the one that the folder's name is or begins with, if that finds a video; else the
        first that finds one among those whose paths no other program has; else ``plain``.

        Args:
            name: Of the folder.
            files: Paths of the video files in it.
        """
        if told := self.by_method.get(name, self.every):
            return self.known[told]
        lowered = name.lower().replace("-", "").replace("_", "")
        called = [layout for key, layout in self.known.items() if lowered.startswith(key.replace("_", ""))]
        called.sort(key=lambda layout: -len(layout.name))
        own = [layout for layout in self.known.values() if layout.by_name_alone and layout not in called]
        for layout in (*called, *own):
            if any(read_name(layout.patterns, file) for file in files):
                return layout
        return called[0] if called else PLAIN

    def of_root(self, name: str, files: Sequence[str]) -> VideoLayout | None:
        """Return the layout by which a folder is itself the folder of one method; None if it is not.

        It is one where the layout finds a video, and knows a file of every folder in it that holds videos: otherwise
        these are methods, of which one is called as a folder of the layout.

        Args:
            name: Of the folder.
            files: Paths of the video files in it.
        """
        told = self.by_method.get(name, self.every)
        layouts = [self.known[told]] if told else [layout for layout in self.known.values() if layout.by_name_alone]
        for layout in layouts:
            if any(read_name(layout.patterns, file) for file in files) and _knows_all_folders(layout, files):
                return layout
        return None


def _knows_all_folders(layout: VideoLayout, files: Sequence[str]) -> bool:
    """Say whether of every folder at the top that holds videos the layout knows one."""
    known: dict[str, bool] = {}
    for file in files:
        top, slash, _ = file.partition("/")
        if slash:
            is_known = read_name((*layout.patterns, *layout.companions), file) is not None
            known[top] = known.get(top, False) or is_known
    return all(known.values())


def _read_layouts(path: Path) -> LayoutChoice:
    content = read_yaml(path, _WANT)
    if not isinstance(content, dict) or not {"layouts", "methods"} >= content.keys() or not content:
        got = sorted(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise InputError(f"{path}: got {got}, want {_WANT}")
    layouts, methods = content.get("layouts") or {}, content.get("methods") or {}
    if not isinstance(layouts, dict) or not isinstance(methods, dict):
        raise InputError(f"{path}: layouts, methods: got no mappings, want {_WANT}")
    known = dict(VIDEO_LAYOUTS)
    for name, fields in layouts.items():
        known[str(name)] = _build_layout(path, str(name), fields, known)
    by_method = {str(method): str(layout) for method, layout in methods.items()}
    every = next(iter(layouts)) if len(layouts) == 1 and not methods else None
    choice = LayoutChoice(known, by_method, every)
    choice.check(f"{path}: methods")
    return choice


def _build_layout(path: Path, name: str, fields: Any, known: Mapping[str, VideoLayout]) -> VideoLayout:
    """Build a layout from what a file says and the base it names.

    Raises:
        InputError: Naming file and layout.
    """
    where = f"{path}: layouts.{name}"
    if not isinstance(fields, dict):
        raise InputError(f"{where}: got {type(fields).__name__}, want the fields of a layout")
    base = str(fields.get("base", PLAIN.name))
    if base not in known:
        raise InputError(f"{where}: base: got {base!r}, want one of {', '.join(known)}")
    whole = asdict(replace(known[base], name=name))
    for key, value in fields.items():
        if key == "base":
            continue
        if isinstance(value, dict) and isinstance(whole.get(key), dict):
            value = {**whole[key], **value}
        whole[str(key)] = value
    parser = OneLineParser(prog="layout")
    parser.add_class_arguments(VideoLayout, "layout")
    try:
        built: VideoLayout = parser.instantiate(parser.parse_object({"layout": whole})).layout
    except (InputError, ValueError, TypeError) as error:
        raise InputError(f"{where}: {error}") from error
    return built
