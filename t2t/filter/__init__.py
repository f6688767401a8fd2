"""Choosing talks to train on, and pairing them for preferences."""
