"""What several functions import."""


def greeting(name: str) -> str:
    """Return the words that a function greets somebody with."""
    return f"Hello, {name}."
