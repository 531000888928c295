"""Mail as text: what a template may say, the templates that are built in, and rendering one. Pure: it sends nothing."""
