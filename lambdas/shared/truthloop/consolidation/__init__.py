"""Consolidation: many people's answers about one object become one label with a confidence."""
