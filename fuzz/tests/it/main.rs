//! Fuzz targets: each takes any input, and says what must hold.

mod elector;
mod http;
mod leases;
mod raw;
mod versions;
