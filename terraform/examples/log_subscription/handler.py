"""Counts the entries of a log group that CloudWatch Logs delivers."""

import base64
import gzip
import json


def lambda_handler(event, context):
    """Return the number of entries in a delivery."""
    delivered = json.loads(gzip.decompress(base64.b64decode(event["awslogs"]["data"])))
    return len(delivered["logEvents"])
