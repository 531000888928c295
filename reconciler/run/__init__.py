"""The steps of a run, in order: gather, decide, act. This room makes no decisions and writes no output."""
