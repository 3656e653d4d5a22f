"""What tests, benchmarks and release share: servers, an endpoint, environments, certificates, the locks."""
