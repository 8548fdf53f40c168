# SPDX-License-Identifier: MIT
"""Training data: files in, flat tensors with offsets out."""
