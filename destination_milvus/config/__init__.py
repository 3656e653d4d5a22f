"""The configuration: its models, what is said of a wrong one, the specification, and its secrets."""
