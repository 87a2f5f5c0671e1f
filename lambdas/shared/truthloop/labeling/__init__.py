"""Labelling jobs: the backend that runs them, the executions that wait for them, the answers they collect."""
