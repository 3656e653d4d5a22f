"""The jobs that are larger than a sync: the first load from files, and another embedding model for what is stored."""
