# SPDX-License-Identifier: MIT
"""Helix of a particle in a solenoid, in forms that are safe in float32 from pt = 1e-14 GeV to straight lines.

With s >= 0 the angle turned since the start, r = pt / (0.3 |q| B) the radius and +-1 the charge's sign, the particle is
at x0 + 2 r sin(s/2) u(phi0 -+ s/2), u(phi) the unit vector along phi. Its squared distance from the axis,

    rho^2(s) = rho0^2 + A (1 - cos s) + C sin s,   A = 2 r (r + b),  C = 2 r a,

has no difference of large numbers (a, b: components of x0 along and across the direction at the start). A neutral
particle is one of a very large radius.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

#: pt [GeV] = 0.2998 |q| B [T] r [m]
GEV_PER_TESLA_METRE = 0.299792458
#: radius [m] of a neutral particle: its sagitta in a detector is below 1e-5 m
STRAIGHT = 1.0e6


class Arrival(NamedTuple):
    """Where a particle meets the calorimeter, and its closest approach to the beam axis."""

    inside: Tensor  #: bool [T], starts inside the volume with a transverse momentum
    eta: Tensor  #: f32 [T], of the exit point seen from the origin
    phi: Tensor  #: f32 [T]
    track_phi: Tensor  #: f32 [T], azimuth of the momentum at the closest approach, in (-pi, pi]
    d0: Tensor  #: f32 [T] mm, transverse impact parameter
    dz: Tensor  #: f32 [T] mm, z at the closest approach


def wrap(phi: Tensor) -> Tensor:
    """An angle in (-pi, pi]."""
    return phi - 2.0 * math.pi * torch.ceil(phi / (2.0 * math.pi) - 0.5)


def propagate(
    pt: Tensor,
    eta: Tensor,
    phi: Tensor,
    charge: Tensor,
    vertex: Tensor,
    field: float,
    radius: float,
    half_length: float,
    bend_per_tesla: float = GEV_PER_TESLA_METRE,
    straight: float = STRAIGHT,
) -> Arrival:
    """Follow particles [T] from ``vertex`` [T, 3] mm to a cylinder; lengths of the detector in m, ``field`` in T."""
    x, y, z = vertex[:, 0] * 1e-3, vertex[:, 1] * 1e-3, vertex[:, 2] * 1e-3  # [T] m
    rho2 = x * x + y * y  # [T]
    # Delphes drops particles with pt^2 < 1e-9 GeV^2
    inside = (rho2 <= radius * radius) & (z.abs() <= half_length) & (pt > 3.1623e-5)  # [T]
    x, y, z = torch.where(inside, x, 0.0), torch.where(inside, y, 0.0), torch.where(inside, z, 0.0)  # [T]
    rho2 = torch.where(inside, rho2, 0.0)

    bend = charge.abs() * (bend_per_tesla * field)  # [T] GeV/m
    r = torch.where(bend > 0, pt / bend.clamp(min=1e-6), straight).clamp(1e-9, straight)  # [T] m
    sign = torch.where(charge < 0, -1.0, 1.0)  # [T]
    slope = torch.sinh(eta)  # [T], dz per transverse metre
    cos, sin = torch.cos(phi), torch.sin(phi)  # [T]
    a = x * cos + y * sin  # [T] m
    b = sign * (x * sin - y * cos)  # [T] m
    capital_a, capital_c = 2.0 * r * (r + b), 2.0 * r * a  # [T] m^2

    # barrel: A (1 - cos s) + C sin s = D, solved for tan(s/2) by the root that does not cancel
    d = radius * radius - rho2  # [T] m^2
    discriminant = capital_c * capital_c + (2.0 * capital_a - d) * d  # [T]
    root = torch.sqrt(discriminant.clamp(min=0.0))  # [T]
    ahead = capital_c >= 0
    half = torch.atan2(
        torch.where(ahead, d, root - capital_c), torch.where(ahead, capital_c + root, 2.0 * capital_a - d)
    )  # [T]
    to_barrel = torch.where(discriminant > 0, 2.0 * half * r, 1e30)  # [T] m, transverse path; curlers never arrive
    # endcap
    steep = slope.abs().clamp(min=1e-9)
    to_endcap = (half_length - torch.where(slope < 0, -z, z)) / steep  # [T] m
    path = torch.minimum(to_barrel, to_endcap)  # [T] m

    half = 0.5 * path / r  # [T], half the turned angle
    chord = 2.0 * r * torch.sin(half)  # [T] m
    toward = phi - sign * half  # [T]
    x_out, y_out, z_out = x + chord * torch.cos(toward), y + chord * torch.sin(toward), z + slope * path  # [T] m
    rho_out = torch.sqrt(x_out * x_out + y_out * y_out).clamp(min=1e-6)  # [T] m
    ratio = z_out / rho_out  # [T]
    # asinh, written for speed and symmetric in z
    eta_out = torch.log(ratio.abs() + torch.sqrt(ratio * ratio + 1.0)) * torch.sign(ratio)  # [T]

    # closest approach to the axis: d rho^2 / ds = A sin s + C cos s = 0
    back = -torch.atan2(a, r + b)  # [T], turned angle
    half = 0.5 * back
    chord = 2.0 * r * torch.sin(half)  # [T] m
    toward = phi - sign * half
    x_d, y_d = x + chord * torch.cos(toward), y + chord * torch.sin(toward)  # [T] m
    track_phi = phi - sign * back  # [T]
    d0 = x_d * torch.sin(track_phi) - y_d * torch.cos(track_phi)  # [T] m
    dz = z + slope * r * back  # [T] m
    return Arrival(inside, eta_out, torch.atan2(y_out, x_out), wrap(track_phi), d0 * 1e3, dz * 1e3)
