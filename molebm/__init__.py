"""molebm: scientific molecular energy models."""
