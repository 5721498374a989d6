//! The PAXS service.
