"""A made-up planet in the layout of the Earth System Data Cube, with the truth behind its gaps.

For the demo, the tests and the benchmarks.

The land surface temperature follows the air temperature by a known law plus noise of a known size, so that the best
possible score is known too: a mean absolute error of ``noise_k * sqrt(2 / pi)`` (the mean of a half-normal variable).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import xarray as xr

Floats = NDArray[np.float64]
Relation = Literal["linear", "regional"]

SLOPE = 1.12  # K of land surface temperature a K of air temperature, for the linear relation
INTERCEPT_K = -30.0
TARGET = "land_surface_temperature"
FEATURE = "air_temperature_2m"

_STEP_DAYS = 8
_STEPS_A_YEAR = 46
_FREEZING_K = 271.0  # of sea water
_ICE_FREE_DEG = 55.0  # no sea ice on the equator's side of it
_POLEMOST_DEG = 83.7  # the last latitude seen by a satellite in a sun-synchronous orbit
_LOWEST_SUN_DEG = 2.0
_ORBIT_SPACING_DEG = 8.6
_SWATH_DEG = 4.6  # 512 km at the equator
# Highlands: lat, lon, half width in lat and lon (degrees), height (km); rough figures from any atlas.
_HIGHLANDS = (
    (33, 88, 5, 13, 3.4),  # Tibet
    (-18, -67, 14, 4, 3.2),  # Andes
    (-40, -71, 9, 2.5, 1.6),
    (41, -110, 10, 8, 1.9),  # Rocky Mountains
    (9, 39, 6, 4, 2.2),  # Ethiopia
    (73, -41, 9, 14, 2.6),  # Greenland
    (-82, 80, 13, 120, 3.2),  # East Antarctica
    (33, 55, 5, 9, 1.4),  # Iran
    (46, 9, 2, 5, 1.3),  # Alps
    (48, 95, 5, 9, 1.6),  # Altai
    (-28, 28, 4, 3, 1.5),  # Drakensberg
)


_AIR_ATTRS = {
    "long_name": "air temperature at 2 m",
    "standard_name": "air_temperature",
    "units": "K",
    "project_name": "synthetic",
    "comment": "made up; complete over land and sea, as a reanalysis is",
}
_LST_ATTRS = {
    "long_name": "land surface temperature",
    "standard_name": "surface_temperature",
    "units": "K",
    "project_name": "synthetic",
    "time_coverage_resolution": "P8D",
    "comment": "made up; missing under clouds, between swaths and in polar night, as a satellite's is",
}
_TRUTH_ATTRS = {
    "long_name": "land surface temperature without gaps",
    "standard_name": "surface_temperature",
    "units": "K",
    "comment": "made up; what lies behind the gaps, for scoring alone",
}


@dataclass(frozen=True)
class _Law:
    """How a date is drawn: the arguments of ``esdc_like`` that say so."""

    seed: int
    gap: float
    noise_k: float
    faithful: bool
    relation: Relation


@dataclass(frozen=True)
class _Planet:
    """What does not change with time; every field ``(lat, lon)``."""

    lat: Floats
    lon: Floats
    land: NDArray[np.bool_]
    dryness: Floats
    mean_k: Floats
    amplitude_k: Floats

    @property
    def shape(self) -> tuple[int, int]:
        return (self.land.shape[0], self.land.shape[1])


def esdc_like(
    shape: tuple[int, int, int] = (12, 180, 360),
    *,
    seed: int,
    start: str = "2002-05-21",
    gap: float = 0.25,
    noise_k: float = 3.0,
    faithful: bool = True,
    relation: Relation = "linear",
    lat_descending: bool = True,
    land: NDArray[np.bool_] | None = None,
) -> tuple[xr.Dataset, xr.DataArray]:
    """Makes a global cube of air and land surface temperature with gaps, and the complete surface temperature.

    Each date is drawn from the seed and its own number: the first dates of a longer cube are those of a shorter one.

    Args:
        shape: steps, rows and columns ``(time, lat, lon)``.
        seed: of everything that is drawn.
        start: the first step is the first one of the data cube's axis on or after this date.
        gap: share of the land cells of each date under clouds.
        noise_k: standard deviation of what the relation leaves unexplained, in K; half of its variance is correlated in
            space.
        faithful: also the cube's other traits: orbit swaths, no values in polar night and next to the poles, and values
            over sea ice. Otherwise clouds alone, and values on land alone.
        relation: ``linear``: ``1.12 T - 30``; ``regional``: hotter than the air over dry sunlit ground, colder
            over ice.
        lat_descending: from north to south, as in version 2 of the data cube; otherwise as in version 3.
        land: where land is, rows in the order of the cube ``(lat, lon)``; None takes the Earth's.

    Returns:
        The cube, with bounds and attributes like the data cube's; and the truth ``(time, lat, lon)`` in K, NaN where
        the target has no meaning.
    """
    lat, lon = _centres(shape[1], 180.0)[::-1].copy(), _centres(shape[2], 360.0)
    if land is not None and not lat_descending:
        land = land[::-1]
    planet = _planet(lat, lon, _earth(lat, lon) if land is None else np.asarray(land, bool), seed)
    time = esdc_times(shape[0], start)
    fields = _fields(planet, time, _Law(seed, gap, noise_k, faithful, relation))
    cube, truth = _dataset(planet, time, *fields)
    if lat_descending:
        return cube, truth
    return cube.isel(lat=slice(None, None, -1)), truth.isel(lat=slice(None, None, -1))


def esdc_times(n: int, start: str) -> NDArray[np.datetime64]:
    """The first steps of the data cube's time axis on or after a date: every 8 days from each 5 January, 46 a year.

    Args:
        n: number of steps.
        start: a date, like ``2002-05-21``.
    """
    first = np.datetime64(start, "D")
    year = first.astype("datetime64[Y]")
    years = year + np.arange(n // _STEPS_A_YEAR + 2) * np.timedelta64(1, "Y")
    steps = np.timedelta64(4, "D") + np.arange(_STEPS_A_YEAR) * np.timedelta64(_STEP_DAYS, "D")
    axis: NDArray[np.datetime64] = (years.astype("datetime64[D]")[:, None] + steps[None, :]).ravel()
    return axis[axis >= first][:n].astype("datetime64[ns]")


def _fields(
    planet: _Planet, time: NDArray[np.datetime64], law: _Law
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Air temperature, observed and true surface temperature, each ``(time, lat, lon)``."""
    air, observed, truth = (np.empty((time.size, *planet.shape), np.float32) for _ in range(3))
    begin = np.random.default_rng([law.seed, 1])
    weather, cover = (
        _smooth_noise(begin, planet.lat, planet.lon, 7.0),
        _smooth_noise(begin, planet.lat, planet.lon, 2.5),
    )
    for k, date in enumerate(time):
        draws = np.random.default_rng([law.seed, 2, k])
        weather = _carried(weather, _smooth_noise(draws, planet.lat, planet.lon, 7.0), 0.7)
        cover = _carried(cover, _smooth_noise(draws, planet.lat, planet.lon, 2.5), 0.3)
        air[k] = planet.mean_k + planet.amplitude_k * _season(date) + 2.2 * weather
        truth[k] = _surface(planet, air[k], _season(date), law, draws)
        observed[k] = np.where(_hidden(planet, cover, date, law, draws), np.nan, truth[k])
    return air, observed, truth


def _carried(before: Floats, new: Floats, share: float) -> Floats:
    """One step of a process that remembers ``share`` of the last and keeps its deviation."""
    return share * before + float(np.sqrt(1 - share**2)) * new


def _centres(n: int, span: float) -> Floats:
    centres: Floats = (np.arange(n, dtype=np.float64) + 0.5) * (span / n) - span / 2
    return centres


def _earth(lat: Floats, lon: Floats) -> NDArray[np.bool_]:
    # Takes seconds and most of a gigabyte to import.
    from global_land_mask import globe

    columns, rows = np.meshgrid(lon, lat)
    return np.asarray(globe.is_land(rows, columns), bool)


def _planet(lat: Floats, lon: Floats, land: NDArray[np.bool_], seed: int) -> _Planet:
    """Climate from latitude, height, dryness and distance to the sea."""
    draws = np.random.default_rng([seed, 0])
    rough, uneven = _smooth_noise(draws, lat, lon, 6.0), _smooth_noise(draws, lat, lon, 8.0)
    inland = _smoothed(land.astype(np.float64), lat, lon, 5.0)
    height_km = np.where(land, _highlands(lat, lon) + 0.6 * np.maximum(rough, 0), 0.0)
    rows = np.abs(lat)[:, None]
    subtropics = np.exp(-(((rows - 24) / 11) ** 2))
    dryness = np.clip(subtropics * (0.4 + 0.6 * inland) + 0.15 * uneven, 0, 1) * land
    sine = np.sin(np.deg2rad(rows))
    # The open sea is milder than the land of its latitude.
    mean_k = 301 - 48 * sine**2 + 10 * sine**2 * (1 - inland) - 6.0 * height_km + 3 * dryness
    amplitude_k = (2 + 22 * sine**1.5) * (0.35 + 0.65 * inland) * np.sign(lat)[:, None]
    return _Planet(lat, lon, land, dryness, mean_k, amplitude_k)


def _highlands(lat: Floats, lon: Floats) -> Floats:
    height = np.zeros((lat.size, lon.size))
    for row, column, tall, wide, km in _HIGHLANDS:
        away = ((lat[:, None] - row) / tall) ** 2 + (((lon - column + 180) % 360 - 180)[None, :] / wide) ** 2
        height = np.maximum(height, km * np.exp(-0.5 * away**2))
    return height


def _surface(planet: _Planet, air: NDArray[np.float32], season: float, law: _Law, draws: np.random.Generator) -> Floats:
    """Surface temperature of one date; NaN over the sea, but for sea ice if faithful."""
    smooth, rough = _smooth_noise(draws, planet.lat, planet.lon, 1.0), draws.standard_normal(planet.shape)
    noise = law.noise_k * np.sqrt(0.5) * (smooth + rough)
    lawful = SLOPE * air + INTERCEPT_K if law.relation == "linear" else _regional(planet, air, season)
    surface = np.where(planet.land, lawful + noise, np.nan)
    if law.faithful:
        ice = ~planet.land & (air < _FREEZING_K) & (np.abs(planet.lat)[:, None] > _ICE_FREE_DEG)
        surface = np.where(ice, _FREEZING_K + 0.5 * (air - _FREEZING_K) + 0.5 * noise, surface)
    return surface


def _regional(planet: _Planet, air: NDArray[np.float32], season: float) -> Floats:
    sun = np.clip(np.cos(np.deg2rad(planet.lat - 23.44 * season)), 0, 1)[:, None]
    surface: Floats = air + (4 + 22 * planet.dryness) * sun - 3 - 2.5 * (air < 262)
    return surface


def _hidden(
    planet: _Planet, cover: Floats, date: np.datetime64, law: _Law, draws: np.random.Generator
) -> NDArray[np.bool_]:
    hidden = _clouds(planet, cover, _season(date), law.gap)
    return hidden | _swaths(planet, draws) | _dark(planet, date) if law.faithful else hidden


def _clouds(planet: _Planet, cover: Floats, season: float, gap: float) -> NDArray[np.bool_]:
    """The cloudiest cells of a date: more along the tropical rain belt and the storm tracks, fewer over deserts."""
    lat = planet.lat[:, None]
    belt = 0.6 * np.exp(-(((lat - 7 * season) / 8) ** 2))
    storms = 0.5 * np.exp(-(((np.abs(lat) - 58) / 14) ** 2))
    score = cover + belt + storms - 0.7 * planet.dryness
    counted = score[planet.land] if planet.land.any() else score
    hidden: NDArray[np.bool_] = score > np.quantile(counted, 1 - gap)
    return hidden


def _swaths(planet: _Planet, draws: np.random.Generator) -> NDArray[np.bool_]:
    """Stripes between the orbits' swaths, which widen in degrees with latitude until they meet."""
    lat = planet.lat[:, None]
    across = (planet.lon[None, :] + 0.22 * lat + draws.uniform(0, 360)) % _ORBIT_SPACING_DEG
    hidden: NDArray[np.bool_] = across * np.maximum(np.cos(np.deg2rad(lat)), 0.01) > _SWATH_DEG
    return hidden


def _dark(planet: _Planet, date: np.datetime64) -> NDArray[np.bool_]:
    """Where the noon sun stays low, and where no orbit reaches."""
    noon = 90 - np.abs(planet.lat - 23.44 * _season(date, turn=172))
    return np.broadcast_to(((noon < _LOWEST_SUN_DEG) | (np.abs(planet.lat) > _POLEMOST_DEG))[:, None], planet.shape)


def _season(date: np.datetime64, turn: int = 200) -> float:
    """From -1 in the northern winter to 1 in its summer, at its height on day ``turn`` of the year.

    The solstice is day 172; the temperature lags by about four weeks.
    """
    day = (date.astype("datetime64[D]") - date.astype("datetime64[Y]").astype("datetime64[D]")).astype(int) + 1
    return float(np.cos(2 * np.pi * (day - turn) / 365.25))


def _smooth_noise(draws: np.random.Generator, lat: Floats, lon: Floats, length_deg: float) -> Floats:
    """A random field of mean 0 and deviation 1, periodic in longitude, correlated over ``length_deg`` degrees."""
    field = _smoothed(draws.standard_normal((lat.size, lon.size)), lat, lon, length_deg)
    field -= field.mean()
    # A grid of one cell has no deviation to scale.
    field /= float(field.std()) or 1.0
    return field


def _smoothed(field: Floats, lat: Floats, lon: Floats, length_deg: float) -> Floats:
    """Convolves with a Gaussian in the domain of wavenumbers; the rows are mirrored at the poles."""
    folded = np.concatenate([field, field[::-1]])
    rows = np.fft.fftfreq(folded.shape[0], 180.0 / lat.size)[:, None]
    columns = np.fft.rfftfreq(lon.size, 360.0 / lon.size)[None, :]
    # The transform of a Gaussian of deviation s is exp(-2 (pi s f)^2).
    gain = np.exp(-2 * (np.pi * length_deg) ** 2 * (rows**2 + columns**2))
    smooth: Floats = np.fft.irfft2(np.fft.rfft2(folded) * gain, s=folded.shape)[: lat.size]
    return smooth


def _dataset(
    planet: _Planet,
    time: NDArray[np.datetime64],
    air: NDArray[np.float32],
    observed: NDArray[np.float32],
    truth: NDArray[np.float32],
) -> tuple[xr.Dataset, xr.DataArray]:
    import xarray as xr

    dims = ("time", "lat", "lon")
    variables = {FEATURE: (dims, air, dict(_AIR_ATTRS)), TARGET: (dims, observed, dict(_LST_ATTRS))}
    cube = xr.Dataset(variables, _coordinates(planet, time), _cube_attrs(planet, time))
    coords = {dim: cube[dim] for dim in dims}
    return cube, xr.DataArray(truth, coords, dims, f"{TARGET}_truth", dict(_TRUTH_ATTRS))


def _coordinates(planet: _Planet, time: NDArray[np.datetime64]) -> dict[str, Any]:
    lat_attrs = {"standard_name": "latitude", "long_name": "latitude", "units": "degrees_north", "bounds": "lat_bnds"}
    lon_attrs = {"standard_name": "longitude", "long_name": "longitude", "units": "degrees_east", "bounds": "lon_bnds"}
    return {
        "time": ("time", time, {"standard_name": "time", "long_name": "time", "bounds": "time_bnds"}),
        "lat": ("lat", planet.lat, lat_attrs),
        "lon": ("lon", planet.lon, lon_attrs),
        "time_bnds": (("time", "bnds"), _time_bounds(time)),
        "lat_bnds": (("lat", "bnds"), _bounds(planet.lat, -180.0 / planet.lat.size)),
        "lon_bnds": (("lon", "bnds"), _bounds(planet.lon, 360.0 / planet.lon.size)),
    }


def _bounds(centres: Floats, step: float) -> Floats:
    return np.stack([centres - step / 2, centres + step / 2], axis=1)


def _time_bounds(time: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """Four days to each side, but never into the next year: its first step begins on 1 January."""
    half = np.timedelta64(_STEP_DAYS // 2, "D")
    new_year = (time.astype("datetime64[Y]") + np.timedelta64(1, "Y")).astype(time.dtype)
    return np.stack([time - half, np.minimum(time + half, new_year)], axis=1)


def _cube_attrs(planet: _Planet, time: NDArray[np.datetime64]) -> dict[str, Any]:
    return {
        "Conventions": "CF-1.11",
        "title": "Synthetic Earth system data cube",
        "summary": "A made-up planet in the layout of the Earth System Data Cube; no value in it was measured.",
        "geospatial_lat_min": float(planet.lat.min()),
        "geospatial_lat_max": float(planet.lat.max()),
        "geospatial_lon_min": float(planet.lon.min()),
        "geospatial_lon_max": float(planet.lon.max()),
        "time_coverage_start": str(time[0].astype("datetime64[s]")),
        "time_coverage_end": str(time[-1].astype("datetime64[s]")),
        "time_coverage_resolution": "P8D",
    }
