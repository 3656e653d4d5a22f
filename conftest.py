"""What holds for all tests."""

from hypothesis import HealthCheck, settings

# no test judges by the clock: machines are busy
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("project")
