# SPDX-License-Identifier: MIT
"""Training of the bundled models, run from a checkout.

python -m training.train NETWORK --data ... --out model.pt
"""
