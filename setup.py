"""Packaging: the rooms of the house become flat packages named by their folders."""

from setuptools import find_packages, setup

ROOMS = [
    "cli",
    "jobs",
    "reporting",
    "serving",
    "planning",
    "runtime",
    "dialects",
    "features",
    "models",
    "certify",
    "expectations",
    "conf",
    "synth",
    "console",
    "benchmarks",
]

setup(
    packages=find_packages(include=[*ROOMS, *(f"{room}.*" for room in ROOMS)]),
    package_data={
        "conf": ["**/*.yml", "**/*.json"],
        "features": ["declared/*.yml"],
        "expectations": ["**/*.yml"],
        "synth": ["real/data/*"],
        "reporting": ["**/*.html", "**/*.j2", "**/*.css"],
    },
)
