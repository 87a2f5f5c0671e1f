"""Images of one class each: scikit-learn's handwritten digits, as PNG files.

The 1,797 digits are 8 x 8 scans of numbers that 43 people wrote (UCI "Optical Recognition of Handwritten
Digits", doi:10.24432/C50P49). They are enlarged so that a person could label them too.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

from truthloop_cli.demo_data import Example, Plan, Sizes

IMAGE_SIZE = 64

PLAN = Plan(
    name="digits",
    what="handwritten digits",
    label_categories=[str(digit) for digit in range(10)],
    label_attribute="digit",
    labeling={
        "task_title": "Which digit is it? / どの数字ですか",
        "task_description": "Choose the digit that the picture shows.",
        "task_keywords": ["image", "digits"],
    },
    sizes=Sizes(60, 1797, 1797),
    seed_size=50,
    round_size=50,
    rounds=5,
    confusion={"annotator-4": {"1": "7", "9": "4"}, "annotator-5": {"3": "8", "5": "6"}},
)


def examples(size: int, seed: int) -> Iterator[Example]:
    """The first `size` digits, whatever the seed: they are real."""
    from PIL import Image
    from sklearn.datasets import load_digits

    data = load_digits()
    for number, (pixels, label) in enumerate(zip(data.images[:size], data.target[:size], strict=True)):
        buffer = io.BytesIO()
        ink = (255 - pixels * (255 / 16)).astype("uint8")
        enlarged = Image.fromarray(ink).resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC)
        enlarged.save(buffer, "PNG")
        # `scan` stands for whatever a customer's rows carry.
        yield Example(buffer.getvalue(), str(label), {"scan": {"number": number, "form": "数字"}})
