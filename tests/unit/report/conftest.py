"""A simulated S3 for a whole module, as a campaign takes seconds to play, and one that most tests read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from moto import mock_aws
from threadpoolctl import threadpool_limits

from truthloop import aws
from truthloop_batch import finalise
from unit.report.campaigns import BUCKET, BuiltCampaign, build_campaign, upload_digits


@pytest.fixture(scope="module")
def cloud() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", "testing")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        environment.delenv("AWS_ENDPOINT_URL", raising=False)
        environment.delenv("AWS_PROFILE", raising=False)
        # Threads of small matrix products only fight with the other tests for the processors.
        with mock_aws(), threadpool_limits(1):
            aws.client.cache_clear()
            aws.s3().create_bucket(Bucket=BUCKET)
            upload_digits(160)
            yield
        aws.client.cache_clear()


@pytest.fixture(scope="module")
def campaign(cloud: None) -> BuiltCampaign:
    """A finished campaign: a random control, rows with input labels, and objects that nobody answered for."""
    built = build_campaign(
        name="digits", labeled=lambda number: number % 20 == 0, fails=lambda number: number % 23 == 3
    )
    finalise.run(built.context)
    return built
