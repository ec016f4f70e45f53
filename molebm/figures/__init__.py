"""Molecules and numbers as pictures: drawings, plots, views in space, and pages that carry all of these inside."""
