"""Words that several rooms share: counts, text made safe to show, the name that was probably meant. Pure."""
