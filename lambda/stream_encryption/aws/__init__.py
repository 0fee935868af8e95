"""AWS calls, and the classification of their errors."""
