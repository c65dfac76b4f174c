"""Figures on the machine at hand, as ratios to peers measured in the same run; `make bench`."""
