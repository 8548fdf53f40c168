# SPDX-License-Identifier: MIT
"""Paths of particles in a solenoid, and what Delphes computes from them without randomness.

A Delphes card with a ParticlePropagator, and without smearing of positions, times or impact parameters (its CMS and
ATLAS cards), gives a track all of these leaves from the GEN particle alone: EtaOuter, PhiOuter, X/Y/Z/TOuter, Xd, Yd,
Zd, D0, DZ, L. See `track_leaves`; the edges of a tower's cell are in `hepgen_fastsim.geometry`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hepgen_fastsim.geometry import Geometry

__all__ = ["CMS", "Magnet", "Path", "arrival", "cos_sin", "follow", "track_leaves"]

GEV_PER_TESLA_METRE = 0.299792458
"""pT [GeV] = 0.2998 |q| B [T] r [m]."""

C_LIGHT = 2.99792458e11
"""Speed of light [mm/s]."""

STRAIGHT = 1e6
"""Radius of the path of a neutral particle [m]."""


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


def _flight(
    pt: np.ndarray, eta: np.ndarray, phi: np.ndarray, charge: np.ndarray, vertex: np.ndarray, magnet: Magnet
) -> tuple[Any, ...]:
    """What `follow` begins with: who starts inside, the starts [m] (within the volume), radius, sense of rotation,
    slope, the components a, b of the start, and the length of the path in the transverse plane [m]."""
    pt, eta, phi = (np.asarray(v, np.float64) for v in (pt, eta, phi))
    start = np.asarray(vertex, np.float64).T * 1e-3
    inside = (
        ((start[:2] ** 2).sum(axis=0) <= magnet.radius**2) & (np.abs(start[2]) <= magnet.half_length) & (pt > 3.2e-5)
    )
    x, y, z = np.where(inside, start, 0.0)
    bend = np.abs(charge) * GEV_PER_TESLA_METRE * magnet.field
    with np.errstate(divide="ignore", invalid="ignore"):
        r = np.clip(np.where(bend > 0, pt / bend, STRAIGHT), 1e-9, STRAIGHT)
    sign, slope = np.where(charge < 0, -1.0, 1.0), np.sinh(np.clip(eta, -20.0, 20.0))
    cos, sin = cos_sin(phi)
    a = x * cos + y * sin
    b = sign * (x * sin - y * cos)
    big_a, big_c, d = 2 * r * (r + b), 2 * r * a, magnet.radius**2 - x * x - y * y
    discriminant = big_c**2 + (2 * big_a - d) * d
    root = np.sqrt(np.maximum(discriminant, 0))
    ahead = big_c >= 0
    half = np.arctan2(np.where(ahead, d, root - big_c), np.where(ahead, big_c + root, 2 * big_a - d))
    to_barrel = np.where(discriminant > 0, 2 * half * r, np.inf)  # curlers never arrive there
    to_endcap = (magnet.half_length - np.where(slope < 0, -z, z)) / np.maximum(np.abs(slope), 1e-9)
    path = np.where(inside, np.minimum(to_barrel, to_endcap), 0.0)  # m, in the transverse plane

    return inside, start, (x, y, z), r, sign, slope, a, b, path


def follow(
    pt: np.ndarray, eta: np.ndarray, phi: np.ndarray, charge: np.ndarray, vertex: np.ndarray, magnet: Magnet = CMS
) -> Path:
    """Follow particles to the cylinder on which the calorimeter begins.

    Parameters
    ----------
    pt, eta, phi, charge: float [n], GeV, rad, e
    vertex: float [n, 3], mm

    With s the turned angle, r = pt / (0.3 |q| B) and x the start, the distance from the axis is
    rho^2(s) = rho0^2 + A (1 - cos s) + C sin s, A = 2 r (r + b), C = 2 r a; a, b: components of x along and across the
    momentum. Particles that start outside stay where they are and keep their direction.
    """
    phi = np.asarray(phi, np.float64)
    inside, start, (x, y, z), r, sign, slope, a, b, path = _flight(pt, eta, phi, charge, vertex, magnet)

    def at(turned: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        (cos, sin), chord = cos_sin(phi - sign * 0.5 * turned), 2 * r * np.sin(0.5 * turned)
        return x + chord * cos, y + chord * sin

    x_out, y_out = at(path / r)
    z_out = z + slope * path
    rho = np.maximum(np.sqrt(x_out * x_out + y_out * y_out), 1e-6)
    back = np.where(inside, -np.arctan2(a, r + b), 0.0)  # to where d rho^2 / ds = A sin s + C cos s = 0
    x_d, y_d = at(back)
    track_phi = phi - sign * back
    cos, sin = cos_sin(track_phi)
    return Path(
        eta_out=np.where(inside, np.arcsinh(z_out / rho), eta),
        phi_out=np.where(inside, np.arctan2(y_out, x_out), phi),
        x_out=np.where(inside, x_out, start[0]) * 1e3,
        y_out=np.where(inside, y_out, start[1]) * 1e3,
        z_out=np.where(inside, z_out, start[2]) * 1e3,
        track_phi=(track_phi + np.pi) % (2 * np.pi) - np.pi,
        x_d=x_d * 1e3,
        y_d=y_d * 1e3,
        z_d=(z + slope * r * back) * 1e3,
        d0=(x_d * sin - y_d * cos) * 1e3,
        length=path * np.cosh(np.clip(eta, -20.0, 20.0)) * 1e3,
    )


def arrival(
    pt: np.ndarray,
    eta: np.ndarray,
    phi: np.ndarray,
    mass: np.ndarray,
    charge: np.ndarray,
    vertex: np.ndarray,
    time: np.ndarray,
    magnet: Magnet = CMS,
) -> np.ndarray:
    """TOuter of `track_leaves` alone [s]: when particles [n] reach the cylinder."""
    *_, path = _flight(pt, eta, phi, charge, vertex, magnet)
    return _arrival(pt, eta, mass, time, path * np.cosh(np.clip(eta, -20.0, 20.0)) * 1e3)


def _arrival(pt: np.ndarray, eta: np.ndarray, mass: np.ndarray, time: np.ndarray, length: np.ndarray) -> np.ndarray:
    momentum = np.asarray(pt, np.float64) * np.cosh(np.clip(eta, -20.0, 20.0))
    energy = np.sqrt(momentum**2 + np.asarray(mass, np.float64) ** 2)
    return time + length * energy / np.maximum(momentum, 1e-12) / C_LIGHT


def track_leaves(
    pt: np.ndarray,
    eta: np.ndarray,
    phi: np.ndarray,
    mass: np.ndarray,
    charge: np.ndarray,
    vertex: np.ndarray,
    time: np.ndarray,
    magnet: Magnet = CMS,
) -> dict[str, np.ndarray]:
    """Leaves of Delphes' class Track that follow from the GEN particles [n] which left the tracks.

    pt, eta, phi, mass, charge of the particles [GeV, rad, e]; vertex [n, 3] mm, time [n] s. Lengths in mm, TOuter in s.
    """
    path = follow(pt, eta, phi, charge, vertex, magnet)
    return {
        "EtaOuter": path.eta_out,
        "PhiOuter": path.phi_out,
        "XOuter": path.x_out,
        "YOuter": path.y_out,
        "ZOuter": path.z_out,
        "TOuter": _arrival(pt, eta, mass, time, path.length),
        "Xd": path.x_d,
        "Yd": path.y_d,
        "Zd": path.z_d,
        "D0": path.d0,
        "DZ": path.z_d,
        "L": path.length,
    }
