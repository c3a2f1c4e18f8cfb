"""Figures: each a function of a dataset."""
