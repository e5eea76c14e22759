"""Backbones by name."""

from mvt4g.models.backbones.recammaster import ReCamMaster
from mvt4g.models.backbones.redirector import ReDirector

__all__ = ["ReCamMaster", "ReDirector"]
