# SPDX-License-Identifier: MIT
# Made by `pybind11-stubgen hepgen_fastsim._core`.
"""
C++ core of hepgen_fastsim
"""

from __future__ import annotations

import collections.abc
import typing

import numpy
import numpy.typing

__all__: list[str] = [
    "DLTensor",
    "Engine",
    "FastSim",
    "HepMCReader",
    "Model",
    "allow_tf32",
    "arrival",
    "check_metadata",
    "cluster",
    "cone_sums",
    "count_near",
    "follow",
    "jet_flavors",
    "last_within",
    "momenta",
    "momentum_leaves",
    "normal_noise",
    "nsubjettiness",
    "pdg_charge",
    "pdg_mass",
    "philox4x32",
    "prune",
    "read_metadata",
    "select",
    "soft_drop",
    "tf32_allowed",
    "torch_version",
    "trim",
    "uniform_noise",
]

class Model:
    """
    A validated model file. A model file is code: load only files that you trust.
    """
    def __init__(self, path: str) -> None: ...
    @property
    def metadata(self) -> str: ...
    @property
    def path(self) -> str: ...

class DLTensor:
    """
    A result that torch.from_dlpack, numpy.from_dlpack and the like take over.
    """
    def __dlpack__(self, **kwargs) -> typing.Any: ...
    def __dlpack_device__(self) -> tuple: ...

class Engine:
    """
    Runs a model over ragged sets, packed into batches of bounded size; safe to call from many threads.
    """
    def __init__(
        self,
        model: Model,
        device: str = "auto",
        precision: str = "float32",
        batch_items: typing.SupportsInt | typing.SupportsIndex = 0,
    ) -> None: ...
    def run(
        self,
        features: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
        codes: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
        offsets: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
        conditions: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
        event: typing.Annotated[numpy.typing.ArrayLike, numpy.int64] | None = None,
        seed: typing.SupportsInt | typing.SupportsIndex = 0,
        stream: typing.SupportsInt | typing.SupportsIndex = 0,
    ) -> dict:
        """
        features float32 [T, F], codes int64 [T, C], offsets int64 [B + 1], conditions float32 [B, D], event int64 [B].

        Returns a dict: items float32 [M, G], item_codes int64 [M, H], offsets int64 [B + 1], origin int64 [M],
        scalars float32 [B, S]. Raises InputError, ModelError.
        """
    def run_tensors(
        self,
        features: typing.Any,
        codes: typing.Any,
        offsets: typing.Any,
        conditions: typing.Any,
        event: typing.Any = None,
        seed: typing.SupportsInt | typing.SupportsIndex = 0,
        stream: typing.SupportsInt | typing.SupportsIndex = 0,
    ) -> dict:
        """
        The same for tensors with __dlpack__ (torch, CuPy, ...), CUDA ones included: one pass, no packing, results stay
        on the engine's device as DLPack tensors.
        """
    @property
    def device(self) -> str: ...
    @property
    def metadata(self) -> str: ...

class FastSim:
    """
    Detector simulation: GEN events in, RECO constituents out; safe to call from many threads.
    """
    def __init__(
        self,
        model: str,
        device: str = "auto",
        precision: str = "float32",
        batch_items: typing.SupportsInt | typing.SupportsIndex = 0,
        outside: str = "keep",
    ) -> None: ...
    def simulate(
        self,
        columns: dict,
        offsets: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
        event: typing.Annotated[numpy.typing.ArrayLike, numpy.int64] | None = None,
        seed: typing.SupportsInt | typing.SupportsIndex = 0,
        stream: typing.SupportsInt | typing.SupportsIndex = 0,
    ) -> dict:
        """
        columns: dict of arrays [T] (pdgid and px, py, pz or pt, eta, phi [GeV]; the rest is optional), offsets int64 [B + 1],
        event: ids [B] that key the noise.

        Returns a dict of RECO columns, their offsets, and 'outside': counts of particles outside the model's domain.
        """
    @property
    def device(self) -> str: ...
    @property
    def metadata(self) -> str: ...

class HepMCReader:
    """
    Streams GEN events out of HepMC2 and HepMC3 text, plain or gzip.
    """
    def __init__(
        self,
        path: str | None = None,
        *,
        source: typing.Any = None,
        fd: typing.SupportsInt | typing.SupportsIndex = -1,
        name: str = "",
        entry_start: typing.SupportsInt | typing.SupportsIndex = 0,
        entry_stop: typing.SupportsInt | typing.SupportsIndex = -1,
    ) -> None: ...
    def read(self, max_events: typing.SupportsInt | typing.SupportsIndex) -> dict:
        """
        The next events as a dict of numpy columns: `offsets` int64 [n_events + 1], particles' columns [n_particles], events' columns [n_events], `weights` [n_events, n_weights]. No events at the end.
        """
    @property
    def bytes_read(self) -> int: ...
    @property
    def bytes_total(self) -> int:
        """
        -1 when unknown
        """
    @property
    def events_read(self) -> int: ...
    @property
    def stream_id(self) -> int:
        """
        crc32 over the input's first event
        """
    @property
    def weight_names(self) -> list: ...

def allow_tf32(allow: bool) -> None:
    """
    torch.backends.cuda.matmul.allow_tf32: TF32 in products of matrices on CUDA, for the whole process.
    """

def arrival(
    px: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    py: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    pz: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    mass: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    charge: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    vx: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    vy: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    vz: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    vt: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    rows: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    field: typing.SupportsFloat | typing.SupportsIndex,
    radius: typing.SupportsFloat | typing.SupportsIndex,
    half_length: typing.SupportsFloat | typing.SupportsIndex,
) -> numpy.ndarray:
    """
    time_out of `follow` alone: float64 [rows], s.
    """

def check_metadata(text: str) -> None:
    """
    Validates the text of a hepgen.json. Raises ModelError.
    """

def cluster(
    px: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    py: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    pz: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    energy: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    offsets: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    algorithm: str,
    radius: typing.SupportsFloat | typing.SupportsIndex,
    pt_min: typing.SupportsFloat | typing.SupportsIndex,
) -> tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray, numpy.ndarray, numpy.ndarray, numpy.ndarray, numpy.ndarray]:
    """
    Jets of all events: px, py, pz, energy [n_jets], offsets [n_events + 1], members [n_members] (rows of the input), member_of [n_members].

    px, py, pz, energy: float64 [n] GeV; offsets: int64 [n_events + 1]; algorithm: 'antikt', 'cambridge' or 'kt'; jets softer than pt_min are left out.
    """

def cone_sums(
    row: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    event: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    eta: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    phi: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    pt: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    charge: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    counts: typing.Annotated[numpy.typing.ArrayLike, numpy.bool],
    offsets: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    delta_r: typing.SupportsFloat | typing.SupportsIndex,
    delta_r_min: typing.SupportsFloat | typing.SupportsIndex,
) -> numpy.ndarray:
    """
    pt [GeV] around candidates: float64 [n_candidates, 2] of charged and of neutral constituents.

    row, event: constituent and event of each candidate. eta, phi, pt, charge, counts (whether it takes part): constituents. delta_r_min: below 0, all within delta_r but the candidate itself; else all beyond it.
    """

def count_near(
    eta: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    phi: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    event: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    other_eta: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    other_phi: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    weight: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    offsets: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    delta_r: typing.SupportsFloat | typing.SupportsIndex,
) -> numpy.ndarray:
    """
    Number of others of the event within delta_r and the sum of their weights: float64 [n, 2].
    """

def follow(
    px: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    py: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    pz: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    mass: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    charge: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    vx: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    vy: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    vz: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    vt: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    rows: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    field: typing.SupportsFloat | typing.SupportsIndex,
    radius: typing.SupportsFloat | typing.SupportsIndex,
    half_length: typing.SupportsFloat | typing.SupportsIndex,
) -> dict:
    """
    Paths of the particles at `rows`, zeros for -1: float64 [rows] each, mm, rad, s.

    px, py, pz, mass [GeV], charge [e], vx, vy, vz [mm], vt [mm, times the speed of light]: float64 [n_particles]; field [T], radius, half_length [m].
    """

def jet_flavors(
    eta: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    phi: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    event: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    pdgid: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    status: typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
    px: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    py: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    pz: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    offsets: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    delta_r: typing.SupportsFloat | typing.SupportsIndex,
    pt_min: typing.SupportsFloat | typing.SupportsIndex,
    eta_max: typing.SupportsFloat | typing.SupportsIndex,
) -> numpy.ndarray:
    """
    Flavours of jets [n_jets] from the partons of their events, int64: the highest code of quarks (top apart) within delta_r, 21 if there are gluons alone, 0 if there is nothing.

    Partons are not stable, of a status other than -1, of more than pt_min [GeV], within eta_max.
    """

def last_within(
    eta: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    phi: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    event: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    other_eta: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    other_phi: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    offsets: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    delta_r: typing.SupportsFloat | typing.SupportsIndex,
) -> numpy.ndarray:
    """
    Row of the last other of the event within delta_r: int64 [n], -1 for none.
    """

def momenta(
    px: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    py: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    pz: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    mass: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    rows: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
) -> tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray, numpy.ndarray]:
    """
    px, py, pz, energy [GeV] of the particles at `rows`, float64 [rows] each.
    """

def momentum_leaves(
    px: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    py: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    pz: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    mass: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
) -> dict:
    """
    Leaves PT, P, E, Eta, Phi, Rapidity of Delphes' tree, float32 [n], from momenta and masses [GeV], float64 [n].

    The mass carries the sign of its square. Eta and Rapidity are +-999.9 along the beam; Rapidity is Eta where there is none.
    """

def normal_noise(
    seed: typing.SupportsInt | typing.SupportsIndex,
    stream: typing.SupportsInt | typing.SupportsIndex,
    event: typing.Annotated[numpy.typing.ArrayLike, numpy.uint32],
    slot: typing.Annotated[numpy.typing.ArrayLike, numpy.uint32],
    channels: typing.SupportsInt | typing.SupportsIndex,
) -> numpy.ndarray:
    """
    N(0, 1) noise keyed on (seed, stream, event, slot, channel).

    event, slot: uint32 [n]. Returns float32 [n, channels]. Philox4x32-10 and Box-Muller.
    """

def nsubjettiness(
    px: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    py: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    pz: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    energy: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    offsets: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    radius: typing.SupportsFloat | typing.SupportsIndex,
    beta: typing.SupportsFloat | typing.SupportsIndex,
    axes: str,
) -> numpy.typing.NDArray[numpy.float64]:
    """
    N-subjettiness tau_1 to tau_5 of each jet, float64 [n_jets, 5].

    px, py, pz, energy: constituents in GeV, jet by jet; offsets: int64 [n_jets + 1]; radius and beta: those of the measure; axes: 'kt', 'onepass_kt', 'wta_kt' or 'onepass_wta_kt'.
    """

def pdg_charge(pdgid: typing.Annotated[numpy.typing.ArrayLike, numpy.int64]) -> numpy.ndarray:
    """
    Charge [e] from PDG codes, float32 [n]; unknown codes count as neutral.
    """

def pdg_mass(pdgid: typing.Annotated[numpy.typing.ArrayLike, numpy.int64]) -> numpy.ndarray:
    """
    Mass [GeV] from PDG codes, float64 [n]; nan where it is not known.
    """

def philox4x32(
    counter: typing.Annotated[collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], "FixedSize(4)"],
    key: typing.Annotated[collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], "FixedSize(2)"],
) -> typing.Annotated[list[int], "FixedSize(4)"]:
    """
    One Philox4x32-10 block: 4 words from 4 + 2.
    """

def prune(
    px: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    py: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    pz: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    energy: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    offsets: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    radius: typing.SupportsFloat | typing.SupportsIndex,
    z_cut: typing.SupportsFloat | typing.SupportsIndex,
    r_cut: typing.SupportsFloat | typing.SupportsIndex,
) -> tuple[numpy.typing.NDArray[numpy.float64], numpy.ndarray]:
    """
    Pruned jets, as those of `trim`; the subjets are the last two branches.
    """

def read_metadata(path: str) -> str:
    """
    The model's hepgen.json, validated; read as a plain zip entry, nothing is executed. Raises ModelError.
    """

def select(
    pdgid: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    status: typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
    stable: bool,
    codes: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    among: bool = True,
) -> numpy.ndarray:
    """
    Rows, ascending, of particles that are stable (status 1) or not, and whose code, sign apart, is among `codes` or not: int64.
    """

def soft_drop(
    px: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    py: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    pz: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    energy: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    offsets: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    radius: typing.SupportsFloat | typing.SupportsIndex,
    z_cut: typing.SupportsFloat | typing.SupportsIndex,
    beta: typing.SupportsFloat | typing.SupportsIndex,
) -> tuple[numpy.typing.NDArray[numpy.float64], numpy.ndarray]:
    """
    Soft-dropped jets, as those of `trim`; the subjets are the two branches that pass.
    """

def tf32_allowed() -> bool: ...
def trim(
    px: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    py: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    pz: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    energy: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    offsets: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    radius: typing.SupportsFloat | typing.SupportsIndex,
    pt_fraction: typing.SupportsFloat | typing.SupportsIndex,
) -> tuple[numpy.typing.NDArray[numpy.float64], numpy.ndarray]:
    """
    Trimmed jets: momenta (px, py, pz, energy) of each and of its four hardest subjets, float64 [n_jets, 5, 4] GeV, zeros where there are fewer, and the number of subjets, int32 [n_jets].

    px, py, pz, energy: constituents, jet by jet; offsets: int64 [n_jets + 1].
    """

def uniform_noise(
    seed: typing.SupportsInt | typing.SupportsIndex,
    stream: typing.SupportsInt | typing.SupportsIndex,
    event: typing.Annotated[numpy.typing.ArrayLike, numpy.uint32],
    slot: typing.Annotated[numpy.typing.ArrayLike, numpy.uint32],
    channels: typing.SupportsInt | typing.SupportsIndex,
) -> numpy.ndarray:
    """
    The same, uniform in (0, 1): the normal distribution function of it, float64 [n, channels].
    """

__version__: str = "0.1.0"
torch_version: str = "2.13.0"
