"""Plans and problems as text, Markdown, JSON, SARIF and GitHub annotations."""
