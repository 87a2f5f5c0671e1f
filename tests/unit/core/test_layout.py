"""Where the objects of a campaign lie."""

from __future__ import annotations

import pytest

from truthloop.errors import InvalidUri
from truthloop.layout import CampaignLayout, template

LAYOUT = CampaignLayout("data", "digits-1")


@pytest.mark.parametrize(
    ("uri", "key"),
    [
        (LAYOUT.uri, ""),
        (LAYOUT.campaign_document(), "campaign.json"),
        (LAYOUT.label_categories(), "label_categories.json"),
        (LAYOUT.master_manifest(), "manifest/master.manifest"),
        (LAYOUT.splits(), "splits.json"),
        (LAYOUT.selection(3), "rounds/3/selection.json"),
        (LAYOUT.selection_manifest(3), "rounds/3/selection.manifest"),
        (LAYOUT.merge(3), "rounds/3/merge.json"),
        (LAYOUT.train_manifest(3), "rounds/3/train.manifest"),
        (LAYOUT.model(3), "rounds/3/model/model.tar.gz"),
        (LAYOUT.model_of_arm(3, "control"), "rounds/3/model/control.tar.gz"),
        (LAYOUT.evaluation(3), "rounds/3/evaluation.json"),
        (LAYOUT.scores(3, 7), "rounds/3/scores/part-00007.parquet"),
        (LAYOUT.decision(3), "rounds/3/decision.json"),
        (LAYOUT.usage(3, "train"), "rounds/3/usage/train.json"),
        (LAYOUT.usage(3, "score", 7), "rounds/3/usage/score-00007.json"),
        (LAYOUT.labeling_prefix(), "labeling/"),
        (LAYOUT.labeling_output_manifest("j"), "labeling/j/manifests/output/output.manifest"),
        (LAYOUT.report(), "report/index.html"),
        (LAYOUT.report_document(), "report/report.json"),
        (LAYOUT.labels_manifest(), "report/labels.manifest"),
    ],
)
def test_every_object_lies_at_its_documented_place(uri, key):
    assert uri == f"s3://data/campaigns/digits-1/{key}"


def test_templates_lie_outside_the_campaigns():
    assert template("data", "image-classification") == (
        "s3://data/templates/image-classification/template.liquid.html"
    )


@pytest.mark.parametrize("uri", ["s3://data/campaigns/digits-1/", "s3://data/campaigns/digits-1"])
def test_a_layout_is_read_back_from_its_uri(uri):
    assert CampaignLayout.from_uri(uri) == LAYOUT


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "data/campaigns/x/",
        "s3://data/x/",
        "s3://data/campaigns/",
        "s3://data/campaigns/X/",
        "s3://data/campaigns/x/y/",
    ],
)
def test_another_uri_is_refused_by_name(uri):
    with pytest.raises(InvalidUri, match="is not the URI of a campaign"):
        CampaignLayout.from_uri(uri)
