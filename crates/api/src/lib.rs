//! Generated gRPC types and one conversion file per service.
