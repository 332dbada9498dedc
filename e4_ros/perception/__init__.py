"""The live loop: one frame in; answer, clocks, joules and record out."""
