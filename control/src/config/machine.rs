//! What a configuration asks of the machine that it is to run on, and what there is.

use super::Config;
use super::buffers;
use super::diagnostic::Diagnostic;
use engine::{Flaw, Plan};
use std::fs;
use std::path::Path;

/// The memory of a machine, in megabytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Memory {
    /// All of it, swap too.
    total: u64,
    /// What a process can still have: of the machine, and of its control group.
    available: u64,
    /// In hugepages that are free.
    hugepages: u64,
}

impl Config {
    /// The memory that a run of `plan` would take and this machine does not have. `hugepages`: whether it takes
    /// it from there.
    pub fn shortage(&self, plan: &Plan, hugepages: bool) -> Option<Diagnostic> {
        self.shortage_of(plan, hugepages, Memory::of_this_machine()?)
    }

    fn shortage_of(&self, plan: &Plan, hugepages: bool, there: Memory) -> Option<Diagnostic> {
        let asked = u64::from(self.memory_mb(plan));
        let buffers = u64::from(buffers::megabytes(plan));
        let settings = &self.engine;
        if hugepages {
            if asked <= there.hugepages {
                return None;
            }
            let free = there.hugepages;
            let message = format!("{asked} MB are to come from hugepages, of which {free} MB are free");
            let help = format!(
                "reserve more (as root: echo {} > /proc/sys/vm/nr_hugepages), ask for less (memory = \"…\"; the \
                 packet buffers take {buffers} MB), or leave 'hugepages' out",
                asked.div_ceil(2) + 8
            );
            return Some(Diagnostic::error(settings.hugepages_span.clone(), message).help(help));
        }
        if buffers > there.available {
            let message = format!(
                "{} packet buffers of {} bytes take {buffers} MB, and {} MB of memory are available",
                plan.buffers_made(),
                plan.buffers.size,
                there.available
            );
            let help = match settings.buffers.count {
                Some(_) => "write a smaller count in 'buffers', or leave it out",
                None => "use fewer workers or descriptors, or smaller buffers",
            };
            return Some(Diagnostic::error(settings.buffers_span.clone(), message).help(help));
        }
        if settings.memory_mb.is_some() && asked > there.total {
            let message = format!("'memory' is {asked} MB, and this machine has {} MB", there.total);
            let help = format!("write less, or leave it out: the packet buffers take {buffers} MB");
            return Some(Diagnostic::error(settings.memory_span.clone(), message).help(help));
        }
        None
    }

    /// What a run of `plan` would not find on this machine as it is now: devices, memory. As warnings, for a
    /// configuration may be checked elsewhere, or before all is set up.
    pub fn lacks(&self, plan: &Plan) -> Vec<Diagnostic> {
        let mut found: Vec<Diagnostic> =
            self.shortage(plan, self.engine.hugepages).into_iter().map(Diagnostic::into_warning).collect();
        for planned in &plan.ports {
            let Some(Flaw::Absent(problem) | Flaw::Unknown(problem)) = planned.device.flaw() else {
                continue;
            };
            let Some(port) = self.ports.iter().find(|port| port.name == planned.name) else { continue };
            found.push(Diagnostic::warning(port.device_span.clone(), problem));
        }
        found.sort_by_key(|diagnostic| diagnostic.span.start);
        found
    }
}

impl Memory {
    /// `None` where the kernel does not say.
    fn of_this_machine() -> Option<Memory> {
        let text = fs::read_to_string("/proc/meminfo").ok()?;
        let kilobytes = |key: &str| -> Option<u64> {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
            line.trim().strip_suffix("kB")?.trim().parse().ok()
        };
        let swap = |key| kilobytes(key).unwrap_or(0);
        let available = (kilobytes("MemAvailable")? + swap("SwapFree")) / 1024;
        Some(Memory {
            total: (kilobytes("MemTotal")? + swap("SwapTotal")) / 1024,
            available: group_limit().map_or(available, |limit| limit.min(available)),
            hugepages: free_hugepages(),
        })
    }
}

/// What the control group of this process allows it, in megabytes, if it limits it.
fn group_limit() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let limit = fs::read_to_string(Path::new("/sys/fs/cgroup").join(path).join("memory.max")).ok()?;
    limit.trim().parse::<u64>().ok().map(|bytes| bytes >> 20)
}

/// Free hugepages of all sizes, in megabytes.
fn free_hugepages() -> u64 {
    let sizes = fs::read_dir("/sys/kernel/mm/hugepages").into_iter().flatten().flatten();
    let kilobytes: u64 = sizes
        .filter_map(|size| {
            let name = size.file_name();
            let size_kb: u64 = name.to_str()?.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
            let free = fs::read_to_string(size.path().join("free_hugepages")).ok()?;
            Some(size_kb * free.trim().parse::<u64>().ok()?)
        })
        .sum();
    kilobytes / 1024
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::{CONFIG, registry};

    const PLENTY: Memory = Memory { total: 16_000, available: 8_000, hugepages: 4_000 };

    /// What is said of `[engine]` with these keys.
    fn said(keys: &str, hugepages: bool, there: Memory) -> Option<String> {
        let text = format!("[engine]\n{keys}\n{CONFIG}");
        let config = Config::parse(&text, "test.toml", Path::new("/nowhere"), &registry()).expect(keys);
        let (plan, _) = config.plan().expect("a plan");
        let found = config.shortage_of(&plan, hugepages, there)?;
        Some(found.line("test.toml", &text))
    }

    #[test]
    fn more_memory_than_there_is_is_told_with_what_was_asked_what_there_is_and_the_key() {
        for keys in ["", "memory = \"8G\"", "buffers = { count = 100000 }"] {
            assert_eq!(said(keys, false, PLENTY), None, "{keys}");
        }
        assert_eq!(said("hugepages = true", true, PLENTY), None);
        for (keys, there, expected) in [
            (
                "memory = \"20G\"",
                PLENTY,
                "2:1: error: 'memory' is 20480 MB, and this machine has 16000 MB\n  help: write less, or leave it \
                 out: the packet buffers take 37 MB",
            ),
            (
                "buffers = { count = 9000000 }",
                PLENTY,
                "2:1: error: 9000000 packet buffers of 2048 bytes take 20325 MB, and 8000 MB of memory are \
                 available\n  help: write a smaller count in 'buffers', or leave it out",
            ),
            (
                "",
                Memory { available: 20, ..PLENTY },
                "1:1: error: 16384 packet buffers of 2048 bytes take 37 MB, and 20 MB of memory are available\n  \
                 help: use fewer workers or descriptors, or smaller buffers",
            ),
        ] {
            assert_eq!(said(keys, false, there), Some(format!("test.toml:{expected}")), "{keys}");
        }
        let expected = "test.toml:2:1: error: 512 MB are to come from hugepages, of which 0 MB are free\n  help: \
                        reserve more (as root: echo 264 > /proc/sys/vm/nr_hugepages), ask for less (memory = \"…\"; \
                        the packet buffers take 37 MB), or leave 'hugepages' out";
        let none = Memory { hugepages: 0, ..PLENTY };
        assert_eq!(said("hugepages = true", true, none).as_deref(), Some(expected));
    }

    #[test]
    fn the_kernel_is_asked_and_a_device_that_is_not_there_is_a_warning() {
        let memory = Memory::of_this_machine().expect("Linux says");
        assert!(memory.total > 0 && memory.available <= memory.total, "{memory:?}");
        let text = CONFIG.replace("net_null0", "net_af_packet0,iface=nosuch0");
        let config = Config::parse(&text, "test.toml", Path::new("/nowhere"), &registry()).expect("good");
        let (plan, _) = config.plan().expect("a plan");
        let found: Vec<String> = config.lacks(&plan).iter().map(|d| d.line("test.toml", &text)).collect();
        let expected = "test.toml:3:10: warning: there is no network interface nosuch0 (ip link shows them)";
        assert!(found.iter().any(|line| line == expected), "{found:?}");
    }
}
