"""The engines that a session can be started with, as the command line spells them."""

from __future__ import annotations

from enum import StrEnum


class Engine(StrEnum):
    """What hosts the models."""

    RAY = "ray"
    IN_PROCESS = "in-process"
    EXTERNAL = "external"
