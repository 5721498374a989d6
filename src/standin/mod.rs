//! A model of PAXS with state.
