//! Every kind of device with a real peer behind it, driven by the program as users run it: kernels in network
//! namespaces, `dpdk-testpmd`, a second `braid`, files. Each test has namespaces, sockets and files of its own, and
//! leaves nothing behind.

mod rig;

#[path = "devices/files.rs"]
mod files;
#[path = "devices/kernel.rs"]
mod kernel;
#[path = "devices/network.rs"]
mod network;
#[path = "devices/processes.rs"]
mod processes;
#[path = "devices/users.rs"]
mod users;
