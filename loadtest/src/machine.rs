//! The machine that generates the load, from `/proc`.

use std::fs::read_to_string;

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub processor: String,
    pub cores: u64,
    pub memory_bytes: u64,
    pub system: String,
    pub kernel: String,
}

/// Time that all cores have spent so far, in ticks of the kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    busy: f64,
    stolen: f64,
    all: f64,
}

impl Machine {
    /// What is unknown is empty or 0.
    pub(crate) fn here() -> Self {
        let value = |file: &str, key: &str| {
            let text = read_to_string(file).unwrap_or_default();
            let line =
                text.lines().find_map(|line| Some(line.strip_prefix(key)?.trim_start_matches([' ', '\t', ':', '='])));
            line.unwrap_or_default().trim_matches('"').to_owned()
        };
        let kilobytes = value("/proc/meminfo", "MemTotal");
        Self {
            processor: value("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(0, |cores| cores.get() as u64),
            memory_bytes: kilobytes.trim_end_matches(" kB").parse::<u64>().unwrap_or_default() << 10,
            system: value("/etc/os-release", "PRETTY_NAME"),
            kernel: read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
        }
    }
}

impl Cores {
    pub(crate) fn look() -> Option<Self> {
        let text = read_to_string("/proc/stat").ok()?;
        let numbers = text.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
        let numbers = Vec::from_iter(numbers.map_while(|number| number.parse::<f64>().ok()));
        let [user, nice, system, idle, iowait, irq, softirq, steal, ..] = numbers.as_slice() else { return None };
        let busy = user + nice + system + irq + softirq;
        Some(Self { busy, stolen: *steal, all: busy + idle + iowait + steal })
    }

    /// The shares of time since then in which cores worked, and in which another machine had them.
    pub(crate) fn shares_since(self, then: Self) -> Option<(f64, f64)> {
        let all = self.all - then.all;
        (all > 0.0).then(|| ((self.busy - then.busy) / all, (self.stolen - then.stolen) / all))
    }
}
