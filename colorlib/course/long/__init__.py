"""Runs that take hours, each a script: `python -m colorlib.course.long.NAME`."""
