"""What JSON and pages show alike, composed of what several rooms know: each answer is one function, and quick at any size."""
