"""Counts the objects of a bucket."""

import os

import boto3


def lambda_handler(event, context):
    """Return the number of objects in the bucket that the environment names."""
    pages = boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=os.environ["BUCKET"])
    return sum(page["KeyCount"] for page in pages)
