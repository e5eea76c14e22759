"""The command line as its users call it."""

from tests.smoke.conftest import mvt4g  # noqa: F401  # a fixture
