# SPDX-License-Identifier: MIT
"""Paths of particles in a solenoid, and what Delphes computes from them without randomness.

A Delphes card with a ParticlePropagator, and without smearing of positions, times or impact parameters (its CMS and
ATLAS cards), gives a track all of these leaves from the GEN particle alone: EtaOuter, PhiOuter, X/Y/Z/TOuter, Xd, Yd,
Zd, D0, DZ, L. See `track_leaves`; the edges of a tower's cell are in `hepgen_fastsim.geometry`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hepgen_fastsim.geometry import Geometry

__all__ = ["CMS", "Magnet", "Path", "arrival", "cos_sin", "follow", "track_leaves"]

GEV_PER_TESLA_METRE = 0.299792458
"""pT [GeV] = 0.2998 |q| B [T] r [m]."""

C_LIGHT = 2.99792458e11
"""Speed of light [mm/s]."""

STRAIGHT = 1e6
"""Radius of the path of a neutral particle [m]."""

STEEPEST = float(np.sinh(20.0))
"""Largest pz / pt that a path has."""

Vectors = Sequence[np.ndarray]
"""x, y and z components, float [n] each."""


class Magnet(NamedTuple):
    """The volume in which particles are propagated: field along z [T], radius and half-length [m]."""

    field: float
    radius: float
    half_length: float

    @classmethod
    def of(cls, geometry: Geometry) -> Magnet:
        """The volume of a detector."""
        return cls(geometry.field, geometry.radius, geometry.half_length)


CMS = Magnet(3.8, 1.29, 3.0)


def cos_sin(phi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cosine and sine in double precision, by the tangent of half the angle: numpy has vectors for that, while it
    takes its own one number at a time."""
    tangent = np.tan(0.5 * np.asarray(phi, np.float64))
    square = tangent * tangent
    return (1.0 - square) / (1.0 + square), 2.0 * tangent / (1.0 + square)


class Path(NamedTuple):
    """Paths of particles, float64 [n] each: mm, rad.

    out: where they leave the volume, seen from the origin in eta_out and phi_out; d: closest approach to the beam axis,
    there the azimuth track_phi of the momentum and the impact parameters d0, dz; length: from the vertex to the exit.
    """

    eta_out: np.ndarray
    phi_out: np.ndarray
    x_out: np.ndarray
    y_out: np.ndarray
    z_out: np.ndarray
    track_phi: np.ndarray
    x_d: np.ndarray
    y_d: np.ndarray
    z_d: np.ndarray
    d0: np.ndarray
    length: np.ndarray


class _Flight(NamedTuple):
    """What `follow` begins with, [n] each, lengths in metres; what starts outside is moved to the centre."""

    inside: np.ndarray  #: bool, starts inside the volume with a transverse momentum
    start: Vectors
    cos: np.ndarray  #: direction in the transverse plane
    sin: np.ndarray
    slope: np.ndarray  #: dz per transverse metre
    sign: np.ndarray  #: sense of rotation
    r: np.ndarray  #: radius
    a: np.ndarray  #: component of the start along the momentum
    b: np.ndarray  #: component across it
    path: np.ndarray  #: length of the path in the transverse plane

    @property
    def length(self) -> np.ndarray:
        """Length of the path [mm]."""
        return self.path * np.sqrt(1.0 + self.slope * self.slope) * 1e3


def _flight(momentum: Vectors, charge: np.ndarray, vertex: Vectors, magnet: Magnet) -> _Flight:
    px, py, pz = momentum
    pt = np.sqrt(px * px + py * py)
    start = [1e-3 * v for v in vertex]
    inside = (
        (start[0] ** 2 + start[1] ** 2 <= magnet.radius**2) & (np.abs(start[2]) <= magnet.half_length) & (pt > 3.2e-5)
    )
    x, y, z = start = [np.where(inside, v, 0.0) for v in start]
    pt = np.maximum(pt, 1e-300)
    cos, sin, slope = px / pt, py / pt, np.clip(pz / pt, -STEEPEST, STEEPEST)
    with np.errstate(divide="ignore"):
        r = np.clip(pt / (np.abs(charge) * GEV_PER_TESLA_METRE * magnet.field), 1e-9, STRAIGHT)
    sign = np.where(charge < 0, -1.0, 1.0)
    a = x * cos + y * sin
    b = sign * (x * sin - y * cos)
    big_a, big_c, d = 2 * r * (r + b), 2 * r * a, magnet.radius**2 - x * x - y * y
    discriminant = big_c**2 + (2 * big_a - d) * d
    root = np.sqrt(np.maximum(discriminant, 0))
    ahead = big_c >= 0
    half = np.arctan2(np.where(ahead, d, root - big_c), np.where(ahead, big_c + root, 2 * big_a - d))
    to_barrel = np.where(discriminant > 0, 2 * half * r, np.inf)  # curlers never arrive there
    to_endcap = (magnet.half_length - np.where(slope < 0, -z, z)) / np.maximum(np.abs(slope), 1e-9)
    path = np.where(inside, np.minimum(to_barrel, to_endcap), 0.0)
    return _Flight(inside, start, cos, sin, slope, sign, r, a, b, path)


def follow(momentum: Vectors, charge: np.ndarray, vertex: Vectors, magnet: Magnet = CMS) -> Path:
    """Follow particles [n] to the cylinder on which the calorimeter begins: momentum in GeV, charge in e, vertex in mm.

    With s the turned angle, r = pt / (0.3 |q| B) and x the start, the distance from the axis is
    rho^2(s) = rho0^2 + A (1 - cos s) + C sin s, A = 2 r (r + b), C = 2 r a; a, b: components of x along and across the
    momentum. Particles that start outside stay where they are and keep their direction.
    """
    px, py, pz = momentum = [np.asarray(p, np.float64) for p in momentum]
    vertex = [np.asarray(v, np.float64) for v in vertex]
    flight = _flight(momentum, charge, vertex, magnet)
    inside, (x, y, z), cos, sin, slope, sign, r, a, b, path = flight

    def at(sine: np.ndarray, versine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the path has turned by an angle of this sine and 1 - cosine."""
        return x + r * (cos * sine + sign * sin * versine), y + r * (sin * sine - sign * cos * versine)

    tangent = np.tan(0.5 * path / r)
    sine = 2.0 * tangent / (1.0 + tangent * tangent)
    x_out, y_out = at(sine, tangent * sine)
    z_out = z + slope * path
    # back to where d rho^2 / ds = A sin s + C cos s = 0
    side = r + b
    distance = np.maximum(np.sqrt(a * a + side * side), 1e-300)
    sine, cosine = -a / distance, side / distance
    x_d, y_d = at(sine, np.where(side > 0, sine * sine / (1.0 + np.abs(cosine)), 1.0 - cosine))
    track_x, track_y = cos * cosine + sign * sin * sine, sin * cosine - sign * cos * sine
    rho = np.maximum(np.sqrt(x_out * x_out + y_out * y_out), 1e-6)
    pt = np.maximum(np.sqrt(px * px + py * py), 1e-300)
    return Path(
        eta_out=np.arcsinh(np.where(inside, z_out / rho, pz / pt)),
        phi_out=np.arctan2(np.where(inside, y_out, py), np.where(inside, x_out, px)),
        x_out=np.where(inside, x_out * 1e3, vertex[0]),
        y_out=np.where(inside, y_out * 1e3, vertex[1]),
        z_out=np.where(inside, z_out * 1e3, vertex[2]),
        track_phi=np.arctan2(track_y, track_x),
        x_d=x_d * 1e3,
        y_d=y_d * 1e3,
        z_d=(z - slope * r * np.arctan2(a, side)) * 1e3,
        d0=(x_d * track_y - y_d * track_x) * 1e3,
        length=flight.length,
    )


def arrival(
    momentum: Vectors,
    mass: np.ndarray,
    charge: np.ndarray,
    vertex: Vectors,
    time: np.ndarray,
    magnet: Magnet = CMS,
) -> np.ndarray:
    """TOuter of `track_leaves` alone [s]: when particles [n] reach the cylinder."""
    return _arrival(momentum, mass, time, _flight(momentum, charge, vertex, magnet).length)


def _arrival(momentum: Vectors, mass: np.ndarray, time: np.ndarray, length: np.ndarray) -> np.ndarray:
    px, py, pz = momentum
    p2 = px * px + py * py + pz * pz
    return time + length * np.sqrt((p2 + mass * mass) / np.maximum(p2, 1e-24)) / C_LIGHT


def track_leaves(
    momentum: Vectors,
    mass: np.ndarray,
    charge: np.ndarray,
    vertex: Vectors,
    time: np.ndarray,
    magnet: Magnet = CMS,
) -> dict[str, np.ndarray]:
    """Leaves of Delphes' class Track that follow from the GEN particles [n] which left the tracks.

    momentum, mass, charge of the particles [GeV, e]; vertex in mm, time in s. Lengths in mm, TOuter in s.
    """
    path = follow(momentum, charge, vertex, magnet)
    return {
        "EtaOuter": path.eta_out,
        "PhiOuter": path.phi_out,
        "XOuter": path.x_out,
        "YOuter": path.y_out,
        "ZOuter": path.z_out,
        "TOuter": _arrival(momentum, mass, time, path.length),
        "Xd": path.x_d,
        "Yd": path.y_d,
        "Zd": path.z_d,
        "D0": path.d0,
        "DZ": path.z_d,
        "L": path.length,
    }
