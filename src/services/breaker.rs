//! Holds calls to a service that is down.
