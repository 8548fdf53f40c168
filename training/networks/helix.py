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


class Start(NamedTuple):
    """The beginning of a helix, in metres; what does not start inside the volume is moved to its centre."""

    inside: Tensor  #: bool [T], starts inside the volume with a transverse momentum
    x: Tensor  #: f32 [T] m
    y: Tensor  #: f32 [T] m
    z: Tensor  #: f32 [T] m
    rho2: Tensor  #: f32 [T] m^2, x^2 + y^2
    r: Tensor  #: f32 [T] m, radius
    sign: Tensor  #: f32 [T], of the charge
    slope: Tensor  #: f32 [T], dz per transverse metre
    phi: Tensor  #: f32 [T]
    a: Tensor  #: f32 [T] m, position along the direction
    b: Tensor  #: f32 [T] m, position across the direction


def start(
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
) -> Start:
    """Helices of particles [T] from ``vertex`` [T, 3] mm; lengths of the detector in m, ``field`` in T."""
    x, y, z = vertex[:, 0] * 1e-3, vertex[:, 1] * 1e-3, vertex[:, 2] * 1e-3  # [T] m
    # Delphes drops particles with pt^2 < 1e-9 GeV^2
    rho2 = x * x + y * y  # [T] m^2
    inside = (rho2 <= radius * radius) & (z.abs() <= half_length) & (pt > 3.1623e-5)  # [T]
    outside = ~inside
    x, y, z = (x.masked_fill(outside, 0.0), y.masked_fill(outside, 0.0), z.masked_fill(outside, 0.0))  # [T] m
    bend = charge.abs() * (bend_per_tesla * field)  # [T] GeV/m
    r = (pt / bend.clamp(min=1e-15)).clamp(1e-9, straight)  # [T] m
    sign = torch.copysign(torch.ones_like(charge), charge)  # [T]
    cos, sin = torch.cos(phi), torch.sin(phi)  # [T]
    rho2 = rho2.masked_fill(outside, 0.0)
    return Start(inside, x, y, z, rho2, r, sign, torch.sinh(eta), phi, x * cos + y * sin, sign * (x * sin - y * cos))


def arrive(h: Start, radius: float, half_length: float) -> tuple[Tensor, Tensor]:
    """Pseudorapidity and azimuth [T], [T] of the exit from the cylinder, seen from the origin."""
    diameter = 2.0 * h.r  # [T] m
    capital_a, capital_c = diameter * (h.r + h.b), diameter * h.a  # [T] m^2

    # barrel: A (1 - cos s) + C sin s = D, solved for tan(s/2) by the root that does not cancel
    d = radius * radius - h.rho2  # [T] m^2
    rest = 2.0 * capital_a - d
    discriminant = capital_c * capital_c + rest * d  # [T]
    root = torch.sqrt(discriminant.clamp(min=1e-8))  # [T]; 0 is slow, here and in atan2, and so are tiny numbers
    ahead = capital_c >= 0
    half = torch.atan2(torch.where(ahead, d, root - capital_c), torch.where(ahead, capital_c + root, rest))  # [T]
    # transverse path [T] m; curlers never arrive
    to_barrel = diameter * half + 1e30 * (discriminant <= 0)
    # endcap
    forward = torch.copysign(h.z, h.z * h.slope)  # [T] m, z along the flight
    to_endcap = (half_length - forward) / h.slope.abs().clamp(min=1e-9)  # [T] m
    path = torch.minimum(to_barrel, to_endcap)  # [T] m

    half = path / diameter  # [T], half the turned angle
    chord = diameter * torch.sin(half)  # [T] m
    toward = h.phi - h.sign * half  # [T]
    x, y, z = (h.x + chord * torch.cos(toward), h.y + chord * torch.sin(toward), h.z + h.slope * path)  # [T] m
    rho = torch.sqrt(x * x + y * y).clamp(min=1e-6)  # [T] m
    ratio = z.abs() / rho  # [T]
    # asinh, written for speed and symmetric in z
    return torch.copysign(torch.log(ratio + torch.sqrt(ratio * ratio + 1.0)), z), torch.atan2(y, x)


def approach(h: Start) -> tuple[Tensor, Tensor, Tensor]:
    """At the closest approach to the axis: azimuth of the momentum in (-pi, pi], d0, dz [mm], each [T]."""
    # d rho^2 / ds = A sin s + C cos s = 0
    back = -torch.atan2(h.a, h.r + h.b)  # [T], turned angle
    half = 0.5 * back
    chord = 2.0 * h.r * torch.sin(half)  # [T] m
    toward = h.phi - h.sign * half
    x, y = h.x + chord * torch.cos(toward), h.y + chord * torch.sin(toward)  # [T] m
    track_phi = h.phi - h.sign * back  # [T]
    d0 = x * torch.sin(track_phi) - y * torch.cos(track_phi)  # [T] m
    dz = h.z + h.slope * h.r * back  # [T] m
    return wrap(track_phi), d0 * 1e3, dz * 1e3


def propagate(
    pt: Tensor,
    eta: Tensor,
    phi: Tensor,
    charge: Tensor,
    vertex: Tensor,
    field: float,
    radius: float,
    half_length: float,
) -> Arrival:
    """Follow particles [T] from ``vertex`` [T, 3] mm to a cylinder; lengths of the detector in m, ``field`` in T."""
    h = start(pt, eta, phi, charge, vertex, field, radius, half_length)
    eta_out, phi_out = arrive(h, radius, half_length)
    track_phi, d0, dz = approach(h)
    return Arrival(h.inside, eta_out, phi_out, track_phi, d0, dz)
