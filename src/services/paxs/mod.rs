//! PAXS: meetings, recordings and analyses behind a sign-in whose refresh token rotates.

mod reports;
mod tokens;
mod transcript;
mod wire;
