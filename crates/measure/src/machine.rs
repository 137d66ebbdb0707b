//! The machine that figures are of. What the system does not tell stays empty.

use std::fs;

use serde::{Deserialize, Serialize};
use tyto_kernels::{detect, supported};

/// The machine, and how Tyto was built.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub cpu: Option<String>,
    /// Threads that this process may run at the same time.
    pub cores: usize,
    /// Caches of the first processor, smallest first.
    pub caches: Vec<Cache>,
    /// Memory in all.
    pub memory_bytes: Option<u64>,
    /// Memory that was available at the start.
    pub available_bytes: Option<u64>,
    /// Kernel and release.
    pub kernel: Option<String>,
    /// The system's setting for transparent huge pages: `always`, `madvise` or `never`.
    pub huge_pages: Option<String>,
    /// Backends that the processor can run, the best one last.
    pub backends: Vec<String>,
    /// The backend that is used where none is named.
    pub backend: String,
    /// How Tyto was built.
    pub build: Build,
}

/// A data or unified cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cache {
    /// 1 is nearest to the processor.
    pub level: u8,
    /// Its size.
    pub bytes: u64,
}

/// How Tyto was built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// Version of Tyto.
    pub version: String,
    /// Architecture and operating system.
    pub target: String,
    /// Whether the compiler optimised. Without it no figure means anything.
    pub is_optimised: bool,
    /// Whether assertions for developers are compiled in, as they are in the profile `dev`.
    pub has_debug_assertions: bool,
}

impl Machine {
    /// This machine, now.
    pub fn detect() -> Self {
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        Self {
            cpu: cpu_name(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            caches: caches(),
            memory_bytes: memory_field(&memory, "MemTotal:"),
            available_bytes: available(&memory),
            kernel: line("/proc/sys/kernel/osrelease").map(|release| format!("Linux {release}")),
            huge_pages: line("/sys/kernel/mm/transparent_hugepage/enabled").and_then(|all| chosen(&all)),
            backends: supported().iter().map(ToString::to_string).collect(),
            backend: detect().to_string(),
            build: Build::this(),
        }
    }

    /// The size of the largest cache of a level.
    pub fn cache_bytes(&self, level: u8) -> Option<u64> {
        self.caches.iter().filter(|cache| cache.level == level).map(|cache| cache.bytes).max()
    }
}

impl Build {
    fn this() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            is_optimised: env!("TYTO_OPT_LEVEL") != "0",
            has_debug_assertions: cfg!(debug_assertions),
        }
    }
}

fn line(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.lines().next()?.trim().to_owned())
}

fn cpu_name(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// A field of `/proc/meminfo`, in bytes.
fn memory_field(meminfo: &str, name: &str) -> Option<u64> {
    let kib: u64 = meminfo
        .lines()
        .find_map(|line| line.strip_prefix(name))?
        .trim()
        .strip_suffix("kB")?
        .trim()
        .parse()
        .ok()?;
    Some(kib * 1024)
}

/// What the machine has available, or what a control group leaves of it.
fn available(meminfo: &str) -> Option<u64> {
    let machine = memory_field(meminfo, "MemAvailable:");
    let number = |path| line(path)?.parse::<u64>().ok();
    let group = number("/sys/fs/cgroup/memory.max")
        .zip(number("/sys/fs/cgroup/memory.current"))
        .map(|(max, current)| max.saturating_sub(current));
    machine.into_iter().chain(group).min()
}

/// The word in brackets.
fn chosen(setting: &str) -> Option<String> {
    let (_, rest) = setting.split_once('[')?;
    Some(rest.split_once(']')?.0.to_owned())
}

fn caches() -> Vec<Cache> {
    let cache = |index: u32| {
        let field = |name: &str| line(&format!("/sys/devices/system/cpu/cpu0/cache/index{index}/{name}"));
        if field("type")? == "Instruction" {
            return None;
        }
        Some(Cache { level: field("level")?.parse().ok()?, bytes: cache_size(&field("size")?)? })
    };
    let mut caches: Vec<_> = (0..8).filter_map(cache).collect();
    caches.sort_unstable_by_key(|cache| cache.level);
    caches
}

/// A size as the system writes it: `1024K`, `32M`.
fn cache_size(text: &str) -> Option<u64> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let unit = match unit {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        _ => return None,
    };
    Some(digits.parse::<u64>().ok()? * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_writes_is_understood() {
        let meminfo = "MemTotal:       24684084 kB\nMemFree: 1 kB\nMemAvailable:   100 kB\n";
        assert_eq!(memory_field(meminfo, "MemTotal:"), Some(24_684_084 * 1024));
        assert_eq!(memory_field(meminfo, "SwapTotal:"), None);
        assert_eq!(cpu_name("processor\t: 0\nmodel name\t: A B\n").as_deref(), Some("A B"));
        assert_eq!(chosen("always [madvise] never").as_deref(), Some("madvise"));
        assert_eq!(
            (cache_size("48K"), cache_size("32M"), cache_size("1 TB")),
            (Some(48 << 10), Some(32 << 20), None)
        );
    }

    #[test]
    fn this_machine_has_cores_and_the_portable_backend() {
        let machine = Machine::detect();
        assert!(machine.cores >= 1 && machine.backends.contains(&"portable".to_owned()), "{machine:?}");
        assert_eq!(machine.backends.last(), Some(&machine.backend));
    }
}
