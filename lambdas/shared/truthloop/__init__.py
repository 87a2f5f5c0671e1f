"""The shared package of Truthloop: contracts and logic on the standard library and boto3 alone."""
