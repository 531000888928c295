"""Desired and actual state in, a Plan out. Pure: what is shown is the very object that is applied."""
