"""Figures on the machine at hand, as ratios to a peer measured in the same run; `make bench`."""
