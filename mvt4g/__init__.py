"""MVT4G: multi-view point tracking as geometric supervision for novel-view video diffusion."""

__version__ = "0.1.0"
