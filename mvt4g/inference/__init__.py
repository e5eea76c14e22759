"""A trained model in Python, without Lightning: see docs/python.md."""

from mvt4g.inference.generator import GeneratedView as GeneratedView
from mvt4g.inference.generator import NovelViewGenerator as NovelViewGenerator
from mvt4g.inference.tracker import Tracker as Tracker
