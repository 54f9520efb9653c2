"""Geography: the cities of the province and the service centres that answer them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field as Key
from pydantic import model_validator

from conf.bounds import MOST
from conf.dates import Clock
from conf.documents import Misfit, Strict, read_yaml, validate
from conf.errors import suggest

CODE = r"^[a-z][a-z0-9_]*$"
Service = Literal["10086", "12580", "outbound"]
#: SLA grades from the highest to the lowest, as everywhere in tables.
GRADES = ("diamond", "gold", "silver", "bronze", "standard")


class Centre(Strict):
    """A service centre: which services its agents answer (10086 by city, 12580 for the province, outbound calls)."""

    code: str = Key(pattern=CODE)
    label: str
    label_zh: str
    services: tuple[Service, ...]
    agents: dict[
        Service, Annotated[int, Key(ge=0, le=MOST)]
    ]  # planned agents on a full day for each million customers of the province

    @model_validator(mode="after")
    def _check_staff(self) -> Centre:
        if set(self.agents) != set(self.services):
            raise Misfit("give a number for each service of the centre, and only for these", "agents")
        return self


class ShiftKind(Strict):
    """A shift as planned: local start and end (an end before the start is the next day), meal and training minutes."""

    code: str = Key(pattern=CODE)
    label: str
    label_zh: str
    services: tuple[Service, ...]
    starts: Clock
    ends: Clock
    meal_minutes: int = Key(ge=0, le=120)
    training_minutes: int = Key(default=0, ge=0, le=480)
    share: int = Key(ge=1, le=100)  # percent of a service's agents who work it on a full day

    @property
    def paid_minutes(self) -> int:
        """Minutes from start to end."""
        start, end = (int(text[:2]) * 60 + int(text[3:]) for text in (self.starts, self.ends))
        return (end - start) % (24 * 60)


class City(Strict):
    """A city: the centre that serves it and its share of customers in parts per thousand."""

    code: str = Key(pattern=CODE)
    label: str
    label_zh: str
    centre: str
    weight: int = Key(ge=1, le=1000)


class Geography(Strict):
    """All cities and centres; weights sum to 1000 and every city names a centre."""

    centres: tuple[Centre, ...]
    cities: tuple[City, ...]
    shifts: tuple[ShiftKind, ...]

    @model_validator(mode="after")
    def _check_references(self) -> Geography:
        centres = [centre.code for centre in self.centres]
        cities = [city.code for city in self.cities]
        shifts = [shift.code for shift in self.shifts]
        wrong = [
            Misfit(f"{code!r} is given twice", kind, position, "code", remedy="rename one")
            for kind, codes in (("centres", centres), ("cities", cities), ("shifts", shifts))
            for position, code in enumerate(codes)
            if code in codes[:position]
        ]
        wrong += [
            Misfit(f"no centre {city.centre!r}", "cities", position, "centre", remedy=suggest(city.centre, centres))
            for position, city in enumerate(self.cities)
            if city.centre not in centres
        ]
        served = {city.centre for city in self.cities}
        wrong += [
            Misfit(f"centre {code!r} serves no city", "centres", position, remedy="name it in a city, or remove it")
            for position, code in enumerate(centres)
            if code not in served
        ]
        if (total := sum(city.weight for city in self.cities)) != 1000:
            wrong.append(
                Misfit(f"weights sum to {total}, not 1000", "cities", remedy="parts per thousand of customers")
            )
        Misfit.raise_all(wrong)
        return self

    @property
    def centre_of(self) -> dict[str, str]:
        """City code to centre code."""
        return {city.code: city.centre for city in self.cities}


def load_geography(root: Path | None = None) -> Geography:
    """Read ``geography.yml`` below ``root`` (conf's own by default)."""
    document = read_yaml((root or Path(__file__).resolve().parent) / "geography.yml")
    return validate(Geography, document)
