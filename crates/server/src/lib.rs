//! The Tyto server: services, configuration, telemetry, shutdown.
