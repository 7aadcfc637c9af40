"""Doing what a plan says: steps, stages, and the procedures behind them."""
