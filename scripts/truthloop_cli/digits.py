"""The demo's data: scikit-learn's handwritten digits as PNG files, and the truth for the annotators.

The 1,797 digits are 8 x 8 scans of numbers that 43 people wrote (UCI "Optical Recognition of Handwritten
Digits", doi:10.24432/C50P49). They are enlarged so that a person could label them too.
"""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

IMAGE_SIZE = 64
CLASSES = [str(digit) for digit in range(10)]


@dataclass(frozen=True)
class Digits:
    """The digits as objects of a bucket.

    Attributes
    ----------
    bucket
        The customer's bucket that holds images and manifest.
    images
        PNG files by key.
    truth
        The written number by S3 URI: known to the simulated annotators alone.
    manifest
        The input manifest, one unlabelled row per image.
    """

    bucket: str
    images: dict[str, bytes]
    truth: dict[str, str]
    manifest: str

    @property
    def manifest_uri(self) -> str:
        return f"s3://{self.bucket}/digits.manifest"


def make_digits(bucket: str, size: int) -> Digits:
    """Write the first `size` digits (1 … 1797) as PNG files and list them in a manifest."""
    from PIL import Image
    from sklearn.datasets import load_digits

    data = load_digits()
    count = len(data.images)
    if not 1 <= size <= count:
        raise ValueError(f"size is {size}: the digits are {count} images; give a number from 1 to {count}.")
    images: dict[str, bytes] = {}
    truth: dict[str, str] = {}
    rows: list[dict[str, Any]] = []
    for number, (pixels, label) in enumerate(zip(data.images[:size], data.target[:size], strict=True)):
        buffer = io.BytesIO()
        ink = (255 - pixels * (255 / 16)).astype("uint8")
        enlarged = Image.fromarray(ink).resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC)
        enlarged.save(buffer, "PNG")
        key = f"digits/{number:04d}.png"
        images[key] = buffer.getvalue()
        truth[f"s3://{bucket}/{key}"] = str(label)
        # `scan` stands for whatever a customer's rows carry: it has to be there at the end, untouched.
        rows.append({"source-ref": f"s3://{bucket}/{key}", "scan": {"number": number, "form": "数字"}})
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return Digits(bucket=bucket, images=images, truth=truth, manifest=lines)


def upload(digits: Digits, s3: S3Client) -> None:
    """Make the customer's bucket, with the CORS rule that labelling in a browser needs, and fill it."""
    s3.create_bucket(Bucket=digits.bucket)
    s3.put_bucket_cors(
        Bucket=digits.bucket,
        CORSConfiguration={
            "CORSRules": [
                {
                    "AllowedMethods": ["GET"],
                    "AllowedOrigins": ["*"],
                    "ExposeHeaders": ["Access-Control-Allow-Origin"],
                }
            ]
        },
    )

    def put(item: tuple[str, bytes]) -> None:
        s3.put_object(Bucket=digits.bucket, Key=item[0], Body=item[1], ContentType="image/png")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, digits.images.items()))
    s3.put_object(Bucket=digits.bucket, Key="digits.manifest", Body=digits.manifest.encode())
