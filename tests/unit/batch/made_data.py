"""Made pictures and texts with known labels, hard enough that labels matter: for the adapters' tests."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SHAPES = ("disc", "bar", "ring")
TOPICS = ("weather", "sport", "kitchen")

_WORDS = {
    "weather": ["rain", "wind", "cloud", "storm", "sunny", "forecast", "degrees", "snow", "fog", "humid"],
    "sport": ["goal", "match", "team", "coach", "referee", "league", "striker", "score", "season", "cup"],
    "kitchen": ["oven", "pepper", "dough", "butter", "recipe", "simmer", "knife", "onion", "plate", "sauce"],
}
_WORDS_JAPANESE = {
    "weather": ["雨が降る", "強い風", "曇り空", "台風", "晴れ間", "気温", "雪景色", "濃い霧"],
    "sport": ["得点", "試合終了", "監督", "審判", "優勝", "選手", "延長戦", "決勝戦"],
    "kitchen": ["包丁", "玉ねぎ", "煮込む", "小麦粉", "味噌汁", "炒める", "塩胡椒", "鍋料理"],
}
_FILLERS = ["the", "a", "of", "today", "people", "said", "it", "was", "again", "very", "some", "new", "about"]
_FILLERS_JAPANESE = ["今日は", "そして", "とても", "みんなで", "もう一度", "について", "という", "です"]


@dataclass(frozen=True)
class Scene:
    """An image with its boxes (class, left, top, width, height) and its mask, 0 for the background."""

    png: bytes
    boxes: list[tuple[int, int, int, int, int]]
    mask: NDArray[np.uint8]


def scene(
    seed: int,
    size: tuple[int, int] = (96, 96),
    noise: float = 22,
    objects: int | None = None,
) -> Scene:
    """Up to four shapes on uneven, noisy ground; their colours overlap, so that the form matters as well."""
    random = np.random.default_rng(seed)
    width, height = size
    down, across = np.mgrid[:height, :width]
    slope = random.normal(0, 25, (2, 3))
    ground = random.uniform(70, 150, 3) + slope[0] * (down / height - 0.5)[..., None]
    picture = ground + slope[1] * (across / width - 0.5)[..., None]
    mask = np.zeros((height, width), np.uint8)
    boxes = []
    for _ in range(int(random.integers(0, 5)) if objects is None else objects):
        kind = int(random.integers(3))
        long = random.uniform(0.18, 0.3) * min(size)
        wide, high = (
            (long, long) if kind != 1 else ((2 * long, long / 2), (long / 2, 2 * long))[random.integers(2)]
        )
        left, top = int(random.uniform(1, width - wide - 1)), int(random.uniform(1, height - high - 1))
        x, y = (across - left - wide / 2) / (wide / 2), (down - top - high / 2) / (high / 2)
        inside = (np.abs(x) <= 1) & (np.abs(y) <= 1) if kind == 1 else x**2 + y**2 <= 1
        if kind == 2:
            inside &= x**2 + y**2 >= 0.3
        reach = (slice(max(top - 2, 0), int(top + high + 3)), slice(max(left - 2, 0), int(left + wide + 3)))
        if mask[reach].any():
            continue
        color = np.array([(190, 90, 80), (90, 110, 190), (150, 150, 60)][kind]) + random.normal(0, 30, 3)
        picture[inside] = color
        mask[inside] = kind + 1
        rows, columns = np.nonzero(inside)
        boxes.append(
            (
                kind,
                int(columns.min()),
                int(rows.min()),
                int(columns.max() - columns.min() + 1),
                int(rows.max() - rows.min() + 1),
            )
        )
    picture = picture + random.normal(0, noise, picture.shape)
    buffer = io.BytesIO()
    Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(buffer, "PNG")
    return Scene(buffer.getvalue(), boxes, mask)


def text(seed: int, topic: int, japanese: bool = False, hints: int = 2) -> str:
    """A text with a few words of its topic among others, now and then a word of another topic."""
    random = np.random.default_rng(seed)
    words, fillers = (_WORDS_JAPANESE, _FILLERS_JAPANESE) if japanese else (_WORDS, _FILLERS)
    chosen = [str(random.choice(words[TOPICS[topic]])) for _ in range(hints)]
    if random.random() < 0.3:
        chosen.append(str(random.choice(words[TOPICS[random.integers(3)]])))
    chosen += [str(random.choice(fillers)) for _ in range(12)]
    random.shuffle(chosen)
    return ("" if japanese else " ").join(chosen)
