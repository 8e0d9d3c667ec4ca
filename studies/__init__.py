"""Slow measurements; each script writes one file under results/."""
