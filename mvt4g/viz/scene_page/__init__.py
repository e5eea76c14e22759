"""Scenes as one HTML file each, and a gallery of them."""

from mvt4g.viz.scene_page.page import ScenePage, write_scene_page

__all__ = ["ScenePage", "write_scene_page"]
