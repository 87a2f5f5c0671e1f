"""The scanners that `make scan` runs, one a module."""
