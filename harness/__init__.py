"""Real k0s clusters on disposable machines, broken and repaired in declared steps, and judged."""

__version__ = "0.1.0"
