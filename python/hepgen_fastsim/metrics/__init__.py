# SPDX-License-Identifier: MIT
"""Kernels and metrics that say how close a fast simulation comes to its reference."""
