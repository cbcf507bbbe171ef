"""From stored statistics to p, q, found electrodes and a verdict; refits nothing."""

from hgcube.inference.verdicts import verify

__all__ = ["verify"]
