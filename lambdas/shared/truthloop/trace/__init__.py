"""Traceability: one record for each answer of a worker, under a pseudonym; whose it is, is kept apart."""
