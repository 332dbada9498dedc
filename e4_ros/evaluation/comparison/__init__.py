"""The machine's own joules, stock against E4, in interleaved blocks."""
