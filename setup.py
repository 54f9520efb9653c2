"""Packaging: every folder here that is a package is a room of the house; nothing else names them."""

from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOMS = sorted(path.parent.name for path in Path(__file__).resolve().parent.glob("*/__init__.py"))
#: Used from a checkout only: what makes data, and what measures.
CHECKOUT_ONLY = ("synth", "benchmarks")


class BuildWheel(build_py):
    """Builds what a cluster gets; an editable install of a checkout has every room."""

    def run(self) -> None:
        """Leave out what only a checkout uses."""
        if not self.editable_mode:
            self.packages = [name for name in self.packages if name.split(".")[0] not in CHECKOUT_ONLY]
            self.__dict__.pop("data_files", None)  # of all packages, where they were asked for before
        super().run()


setup(
    cmdclass={"build_py": BuildWheel},
    packages=find_packages(include=[*ROOMS, *(f"{room}.*" for room in ROOMS)]),
    package_data={
        "conf": ["**/*.yml", "**/*.json"],
        "features": ["declared/*.yml"],
        "expectations": ["**/*.yml"],
        "serving": ["migrations/*.sql"],
        "synth": ["real/data/*"],
        "reporting": ["**/*.html", "**/*.j2", "**/*.css"],
    },
)
