"""Geography: the cities of the province and the service centres that answer them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field as Key
from pydantic import model_validator

from conf.documents import Strict, read_yaml, validate

CODE = r"^[a-z][a-z0-9_]*$"
#: SLA grades from the highest to the lowest, as everywhere in tables.
GRADES = ("diamond", "gold", "silver", "bronze", "standard")


class Centre(Strict):
    """A service centre: which services its agents answer (10086 by city, 12580 for the province, outbound calls)."""

    code: str = Key(pattern=CODE)
    label: str
    label_zh: str
    services: tuple[Literal["10086", "12580", "outbound"], ...]


class City(Strict):
    """A city: the centre that serves it and its share of customers in parts per thousand."""

    code: str = Key(pattern=CODE)
    label: str
    label_zh: str
    centre: str
    weight: int = Key(ge=1, le=1000)
    tier: int = Key(ge=1, le=5)


class Geography(Strict):
    """All cities and centres; weights sum to 1000 and every city names a centre."""

    centres: tuple[Centre, ...]
    cities: tuple[City, ...]

    @model_validator(mode="after")
    def _closed(self) -> Geography:
        centres = [centre.code for centre in self.centres]
        cities = [city.code for city in self.cities]
        for kind, codes in (("centre", centres), ("city", cities)):
            if len(set(codes)) != len(codes):
                raise ValueError(f"a {kind} code is given twice")
        if lost := sorted({city.centre for city in self.cities} - set(centres)):
            raise ValueError(f"cities name no centre: {lost}")
        if idle := sorted(set(centres) - {city.centre for city in self.cities}):
            raise ValueError(f"centres serve no city: {idle}")
        if (total := sum(city.weight for city in self.cities)) != 1000:
            raise ValueError(f"weights sum to {total}, not 1000")
        return self

    @property
    def centre_of(self) -> dict[str, str]:
        """City code to centre code."""
        return {city.code: city.centre for city in self.cities}


def load_geography(root: Path | None = None) -> Geography:
    """Read ``geography.yml`` below ``root`` (conf's own by default)."""
    document = read_yaml((root or Path(__file__).resolve().parent) / "geography.yml")
    return validate(Geography, document)
