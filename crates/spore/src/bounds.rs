//! How large a spore and its parts may be: stated here once, checked when packing and when opening.
//!
//! They keep the format free of zip64 and every allocation in proportion to what a spore needs.

/// The most bytes of a whole `.spore` file: what a zip without zip64 can address.
pub const MAX_SPORE_BYTES: u64 = u32::MAX as u64;
/// The most bytes of `binary`, and of any one file: 2 GiB. Models and data sets don't belong in spores.
pub const MAX_CONTENT_BYTES: u64 = 2 << 30;
/// The most bytes of `manifest.json`.
pub const MAX_MANIFEST_BYTES: u64 = 4 << 20;
/// The most files under `files/`.
pub const MAX_FILES: usize = 16_384;
/// The most bytes of a path under `files/`.
pub const MAX_PATH_BYTES: usize = 512;
/// The most bytes of one component of a path: what Linux file systems hold.
pub const MAX_COMPONENT_BYTES: usize = 255;
/// The most arguments.
pub const MAX_ARGS: usize = 256;
/// The most environment variables.
pub const MAX_ENV: usize = 256;
/// The most bytes of one argument, or of one environment variable's value.
pub const MAX_VALUE_BYTES: usize = 32 << 10;
/// The most bytes of a version, an environment variable's name, a profile's name.
pub const MAX_NAME_BYTES: usize = 128;
/// The longest a workload may take to become healthy, and the largest p99 budget: an hour, in milliseconds.
pub const MAX_MILLIS: u64 = 3_600_000;
/// The most thousandths of a CPU one replica may ask for: 1,024 CPUs.
pub const MAX_CPU_MILLI: u64 = 1_024_000;
/// The most MiB of memory one replica may ask for: 16 TiB.
pub const MAX_MEMORY_MB: u64 = 16 << 20;
/// The most processes and threads one replica may ask for: what Linux has numbers for.
pub const MAX_PIDS: u32 = 1 << 22;
/// The fewest open files that a program can be started with.
pub const MIN_OPEN_FILES: u32 = 16;
/// The most open files one replica may ask for: what Linux gives by default (`fs.nr_open`).
pub const MAX_OPEN_FILES: u32 = 1 << 20;
/// The largest share of the disks (`io.weight` of `cgroups(7)`).
pub const MAX_IO_WEIGHT: u32 = 10_000;
/// The most MiB of log one replica may have kept: 10 GiB.
pub const MAX_LOG_MB: u32 = 10 << 10;
