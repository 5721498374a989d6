//! The stand-in over real sockets, asked by a raw client.

mod client;
mod faults;
mod life;
mod protocol;
mod sign_in;
