"""Mail as text: what templates may contain, the built-in ones, and rendering. Pure: it sends nothing."""
