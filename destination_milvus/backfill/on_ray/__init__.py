"""The engine of a cluster: `load` and `rewrite` are the drivers, `tasks` what runs on the cluster, `board` between."""
