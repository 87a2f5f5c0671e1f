"""The worker's page: renders worker templates, stands in for AWS's crowd elements, serves a small portal."""
