# SPDX-License-Identifier: MIT
"""Networks: one module per system, and the blocks that they share."""
