"""The steps of a run, in order: gather, decide, act. No decision is made here, and no text is written."""
