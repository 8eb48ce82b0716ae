//! What a process uses, as the kernel counts it.

use std::time::Duration;

use anyhow::Context;
use rustix::param::clock_ticks_per_second;

/// What a process uses at a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Memory that is resident.
    pub(crate) resident_mib: f64,
    /// Time on a processor since its start.
    pub(crate) cpu: Duration,
}

impl Usage {
    /// Of a process that runs.
    pub(crate) fn of(pid: u32) -> anyhow::Result<Self> {
        let read = |name: &str| {
            let file = format!("/proc/{pid}/{name}");
            std::fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))
        };
        let (status, stat) = (read("status")?, read("stat")?);
        Self::parse(&status, &stat, clock_ticks_per_second()).context("/proc has another form")
    }

    fn parse(status: &str, stat: &str, ticks: u64) -> Option<Self> {
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: f64 = resident.trim().strip_suffix(" kB")?.parse().ok()?;
        // The name of the program stands in brackets and may have blanks in it.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let (user, system): (u64, u64) = (fields.get(11)?.parse().ok()?, fields.get(12)?.parse().ok()?);
        Some(Self {
            resident_mib: kib / 1024.0,
            cpu: Duration::from_millis((user + system) * 1000 / ticks),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_time_are_read() {
        let status = "Name:\tx\nVmPeak:\t 9 kB\nVmRSS:\t    2048 kB\n";
        let stat = "7 (a b) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 3 0 1 2 3";
        let usage = Usage::parse(status, stat, 100).unwrap();
        assert_eq!(usage.resident_mib, 2.0);
        assert_eq!(usage.cpu, Duration::from_secs(2));
    }
}
