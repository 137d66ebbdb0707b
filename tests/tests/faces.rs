//! Real faces through the service: every score equals the plaintext one, and the error rates stay those of the floats.

use tyto_cli::evaluation::report::Report;
