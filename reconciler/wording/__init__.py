"""Words that several rooms share: numbers of things, text made safe to show, the name that was meant. Pure."""
