//! EAL's command line, and what to advise when it fails.

use std::ffi::CString;
use std::path::Path;

use super::EalOptions;
use crate::EalError;

/// Options that would end the process, or make this one another process's guest.
const REFUSED: [(&str, &str); 5] = [
    ("-h", "prints a help text and ends the process"),
    ("--help", "prints a help text and ends the process"),
    ("--proc-type", "a secondary process shares memory that another one may take back"),
    ("--vdev", "ports are made later, by their device strings"),
    ("--version", "ends the process"),
];

/// The argument vector for these options.
pub(super) fn build(options: &EalOptions) -> Result<Vec<CString>, EalError> {
    for option in &options.extra {
        if let Some((_, why)) = REFUSED.iter().find(|(name, _)| option.split('=').next() == Some(*name)) {
            return Err(EalError::BadOption { option: option.clone(), problem: format!("it {why}") });
        }
    }
    let given = |names: &[&str]| options.extra.iter().any(|o| names.iter().any(|name| o.starts_with(name)));
    let prefix = format!("--file-prefix={}-{}", options.file_prefix, std::process::id());
    let mut words = vec!["braid".to_owned(), prefix];
    if !given(&["-l", "-c", "--lcores"]) {
        // One lcore that may run wherever the process may: its thread sleeps.
        words.push(format!("--lcores=0@({})", cores(&allowed_cores())));
    }
    if options.hugepages {
        words.push("--in-memory".into());
    } else {
        words.extend(["--no-huge", "--no-shconf"].map(str::to_owned));
    }
    words.push("--no-telemetry".into());
    if !given(&["--log-level"]) {
        words.extend(super::log::argument().map(str::to_owned));
    }
    words.extend(["-m".into(), options.memory_mb.to_string()]);
    if !options.pci {
        words.push("--no-pci".into());
    } else if !given(&["-a", "--allow"]) {
        // An allow-list that allows no NIC (this is where a host bridge is), or EAL would take over every
        // device that is bound to a userspace driver. Ports add themselves when they are probed.
        words.extend(["-a".into(), "0000:00:00.0".into()]);
    }
    words.extend(options.extra.iter().cloned());
    words
        .into_iter()
        .map(|word| {
            CString::new(word.clone())
                .map_err(|_| EalError::BadOption { option: word, problem: "it contains a NUL byte".into() })
        })
        .collect()
}

/// The cores that the calling thread may run on, ascending; core 0 when the kernel does not say.
fn allowed_cores() -> Vec<usize> {
    // SAFETY: cpu_set_t is a plain bit set, for which zero is "empty"; the kernel fills the one it is given.
    let set = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) != 0 {
            return vec![0];
        }
        set
    };
    let size = 8 * size_of::<libc::cpu_set_t>();
    // SAFETY: every number is below the size of the set in bits.
    let allowed: Vec<usize> = (0..size).filter(|&core| unsafe { libc::CPU_ISSET(core, &set) }).collect();
    if allowed.is_empty() { vec![0] } else { allowed }
}

/// Cores as EAL writes them: ranges where they follow each other.
fn cores(cores: &[usize]) -> String {
    let runs = cores.chunk_by(|a, b| a + 1 == *b).map(|run| match run {
        [one] => one.to_string(),
        [first, .., last] => format!("{first}-{last}"),
        [] => String::new(),
    });
    runs.collect::<Vec<_>>().join(",")
}

/// What to do about a failure, from the options, the machine and the log.
pub(super) fn advice(options: &EalOptions, log: &[String]) -> String {
    let log = log.join("\n").to_lowercase();
    // DPDK prints which option it was to stderr, behind its log.
    if log.contains("invalid 'command line'") && !options.extra.is_empty() {
        return format!("check the extra options {:?}", options.extra);
    }
    if options.hugepages {
        if free_hugepages() == 0 {
            return "no hugepages are free: reserve some (as root: echo 512 > /proc/sys/vm/nr_hugepages), or run \
                    without hugepages"
                .into();
        }
        if log.contains("permission denied") || log.contains("operation not permitted") {
            return "hugepages need permission: run with the capability IPC_LOCK (or as root), or run without \
                    hugepages"
                .into();
        }
        return format!(
            "check that {} MB of hugepages are free (grep Huge /proc/meminfo), or run without hugepages",
            options.memory_mb
        );
    }
    if log.contains("cannot allocate memory") || log.contains("failed to allocate") {
        return format!(
            "{} MB of memory cannot be had: ask for less, or raise the memory limit",
            options.memory_mb
        );
    }
    "see DPDK's lines below; BRAID_LOG=debug shows all that it says".into()
}

/// Free hugepages of all sizes.
fn free_hugepages() -> u64 {
    let Ok(sizes) = std::fs::read_dir(Path::new("/sys/kernel/mm/hugepages")) else { return 0 };
    sizes
        .flatten()
        .filter_map(|size| std::fs::read_to_string(size.path().join("free_hugepages")).ok())
        .filter_map(|count| count.trim().parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(options: &EalOptions) -> Vec<String> {
        build(options).unwrap().into_iter().map(|word| word.into_string().unwrap()).collect()
    }

    #[test]
    fn cores_are_written_as_ranges() {
        for (list, text) in
            [(&[0][..], "0"), (&[0, 1, 2, 3], "0-3"), (&[1, 3, 4, 7], "1,3-4,7"), (&[5, 6], "5-6")]
        {
            assert_eq!(cores(list), text);
        }
    }

    #[test]
    fn without_hugepages_nothing_is_shared_and_no_nic_is_touched() {
        let words = words(&EalOptions::default());
        for needed in ["--no-huge", "--no-shconf", "--no-pci", "--no-telemetry"] {
            assert!(words.iter().any(|word| word == needed), "{needed} in {words:?}");
        }
        assert!(!words.iter().any(|word| word == "--in-memory"), "22.11 refuses it next to --no-huge");
    }

    #[test]
    fn with_hugepages_and_pci_no_device_is_taken_unasked() {
        let words = words(&EalOptions { hugepages: true, pci: true, ..EalOptions::default() });
        assert!(words.contains(&"--in-memory".to_owned()) && !words.contains(&"--no-huge".to_owned()));
        assert!(words.windows(2).any(|pair| pair == ["-a", "0000:00:00.0"]), "{words:?}");
    }

    #[test]
    fn options_that_would_end_the_process_are_refused() {
        for option in ["--help", "-h", "--proc-type=secondary", "--vdev=net_null0", "a\0b"] {
            let options = EalOptions { extra: vec![option.into()], ..EalOptions::default() };
            assert!(matches!(build(&options), Err(EalError::BadOption { .. })), "{option:?}");
        }
    }

    #[test]
    fn the_advice_names_what_is_missing() {
        let extra = EalOptions { extra: vec!["--nonsense".into()], ..EalOptions::default() };
        assert!(advice(&extra, &["EAL: Invalid 'command line' arguments.".into()]).contains("--nonsense"));
        let memory = EalOptions { memory_mb: 4096, ..EalOptions::default() };
        assert!(advice(&memory, &["EAL: Cannot allocate memory".into()]).contains("4096 MB"));
    }
}
