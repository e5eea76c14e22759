"""Scenes as one HTML file each, and a gallery of them."""

from mvt4g.viz.scene_page.gallery import write_gallery
from mvt4g.viz.scene_page.page import ScenePage, write_scene_page

__all__ = ["ScenePage", "write_gallery", "write_scene_page"]
