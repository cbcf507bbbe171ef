"""Numerical kernels: arrays in, arrays out; no labels, no laziness."""
