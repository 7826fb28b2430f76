"""A project from before pyproject.toml: everything is said here."""

from setuptools import setup

setup(
    name="inventory",
    version="3.1",
    packages=["inventory"],
    package_data={"inventory": ["units.txt"]},
    install_requires=["tabulate>=0.9"],
    python_requires=">=3.8",
    entry_points={"console_scripts": ["inventory = inventory.main:main"]},
)
