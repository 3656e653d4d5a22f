"""A support form that knows what was reported before and what the knowledge base says."""
