//! From a configuration to what the engine runs: files are read, rules compiled, names become numbers.

use super::diagnostic::{ConfigErrors, Diagnostic, Severity};
use super::port::PortDevice;
use super::{ChainConfig, Config, Decision, NfConfig, buffers, nearest};
use crate::planning::Delays;
use engine::{ChainPlan, ConfigError, Device, Door, Doorway, NfPlan, Plan, PortPlan, Prepared, Site};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;
use std::sync::{Arc, LazyLock};
use tables::expression::Expression;

/// What [`Config::replay`] planned.
pub struct Replay {
    /// One chain between two capture files.
    pub plan: Plan,
    /// The chain's name.
    pub chain: String,
    /// Name of the port that reads.
    pub source: String,
    /// Name of the port that writes.
    pub sink: String,
}

/// A plan, what was decided of its chains, and what was found that is no error.
pub(crate) type Planned = (Plan, Vec<Decision>, Vec<Diagnostic>);

impl Config {
    /// Prepares everything: reads the NFs' files, compiles rules, makes the plan. What it finds that is no
    /// error is returned beside the plan.
    ///
    /// # Errors
    /// All that is wrong with the NFs, each at the key that caused it; too few buffers, too little memory.
    pub fn plan(&self) -> Result<(Plan, Vec<Diagnostic>), ConfigErrors> {
        self.plan_knowing(&Delays::default()).map(|(plan, _, remarks)| (plan, remarks))
    }

    /// The same when more is known of NFs than files say. Returns also what was decided of the chains.
    pub(crate) fn plan_knowing(&self, known: &Delays) -> Result<Planned, ConfigErrors> {
        let (prepared, mut diagnostics) = self.prepare_all();
        let Some(mut plan) = self.assemble(prepared) else { return Err(self.errors(diagnostics)) };
        let decisions = match self.delays().and_then(|delays| self.decide(&plan, &delays.with(known))) {
            Ok(decisions) => decisions,
            Err(error) => {
                diagnostics.push(error);
                Vec::new()
            }
        };
        diagnostics.extend(self.look_at_timeouts(&plan, &decisions));
        self.run_as_decided(&mut plan, &decisions);
        if let (Some(scale), None) = (self.engine.scale, plan.buffers.count) {
            // None are made later.
            let mut most = plan.clone();
            most.cores.resize(scale.max.max(plan.cores.len()), 0);
            plan.buffers.count = Some(most.buffers_made());
        }
        self.check_buffers(&plan, &mut diagnostics);
        if diagnostics.iter().any(|d| d.severity == Severity::Error) {
            return Err(self.errors(diagnostics));
        }
        Ok((plan, decisions, diagnostics))
    }

    /// Plans one chain (`None`: the first) with the capture file `input` as its source and `output` as its
    /// sink, wherever the configuration has them come from and go to.
    ///
    /// # Errors
    /// As [`Config::plan`], and for a chain that does not exist.
    pub fn replay(&self, chain: Option<&str>, input: &Path, output: &Path) -> Result<Replay, ConfigErrors> {
        let found = match chain {
            None => self.chains.first(),
            Some(name) => self.chains.iter().find(|chain| chain.name == name),
        };
        let Some(chain) = found else {
            let name = chain.unwrap_or_default();
            let known = self.chains.iter().map(|chain| chain.name.as_str());
            let error = Diagnostic::error(0..0, format!("there is no chain '{name}'"));
            return Err(self.errors(vec![error.help(nearest::advice(name, known))]));
        };
        let mut behind =
            chain.path().filter_map(|name| self.nf(name)).filter(|nf| !nf.configured.doors().is_empty());
        if let Some(nf) = behind.next() {
            let message =
                format!("'{}' lives behind ports, and in a replay there is nobody behind them", nf.name);
            return Err(self.errors(vec![
                Diagnostic::error(nf.name_span.clone(), message)
                    .help("leave it out of the path, or use `braid run`"),
            ]));
        }
        // NFs see the ports that the chain names, numbered as usual, and every gate leads to the one sink. The
        // sink takes the number and the name of the first port that is not the source.
        let mut names = vec![chain.from.clone()];
        names.extend(chain.to().filter(|to| *to != chain.from).map(str::to_owned));
        let sink = names.get(1).cloned().unwrap_or_else(|| format!("{}-out", chain.from));
        for port in &self.ports {
            if !names.contains(&port.name) {
                names.push(port.name.clone());
            }
        }
        let gates = chain.to().filter_map(|to| number(&names, to)).collect();
        let mut diagnostics = Vec::new();
        let mut nfs = Vec::new();
        let last = chain.path.len().saturating_sub(1);
        for (i, nf) in chain.path().filter_map(|name| self.nf(name)).enumerate() {
            let gates = if i == last { Vec::clone(&gates) } else { Vec::new() };
            let site = self.site(nf, names.clone(), gates, self.replay_seed());
            nfs.extend(prepare(nf, &site, &mut diagnostics).map(|prepared| plan_nf(nf, prepared)));
        }
        if diagnostics.iter().any(|d| d.severity == Severity::Error) {
            return Err(self.errors(diagnostics));
        }
        let ports = vec![
            PortPlan::new(&chain.from, Device::CaptureSource(input.to_owned())),
            PortPlan::new(&sink, Device::CaptureSink(output.to_owned())),
        ];
        let chains = vec![ChainPlan {
            name: chain.name.clone(),
            from: 0,
            matcher: chain.matcher.clone(),
            path: (0..nfs.len()).collect(),
            to: vec![1; chain.to.len()],
            parallel: None,
        }];
        let mut plan = self.frame(ports, nfs, chains, self.replay_seed());
        match self.delays().and_then(|delays| self.decide(&plan, &delays)) {
            Ok(decisions) => self.run_as_decided(&mut plan, &decisions),
            Err(error) => return Err(self.errors(vec![error])),
        }
        Ok(Replay { plan, chain: chain.name.clone(), source: chain.from.clone(), sink })
    }

    /// Megabytes to give to DPDK for this plan.
    pub fn memory_mb(&self, plan: &Plan) -> u32 {
        self.engine.memory_mb.unwrap_or_else(|| buffers::megabytes(plan).saturating_add(128).max(512))
    }

    fn nf(&self, name: &str) -> Option<&NfConfig> {
        self.nfs.iter().find(|nf| nf.name == name)
    }

    /// Names of the ports that are opened; a port's number is its place.
    fn open_ports(&self) -> Vec<String> {
        let used = self.ports.iter().filter(|port| self.uses_port(&port.name));
        used.map(|port| port.name.clone()).collect()
    }

    /// Seed of everything random: the one given; else 1 where all packets come from captures, so that the same input
    /// gives the same output; else one that nobody can know, the same until the process ends, so that nobody can choose
    /// packets that meet in one place of a table.
    pub fn seed(&self) -> u64 {
        static UNKNOWN: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish() >> 1);
        let mut used = self.ports.iter().filter(|port| self.uses_port(&port.name));
        let is_live = used.any(|port| matches!(port.device, PortDevice::Dpdk(_)));
        if is_live { self.engine.seed.unwrap_or(*UNKNOWN) } else { self.replay_seed() }
    }

    /// [`seed`](Self::seed) between captures, whatever the ports are.
    fn replay_seed(&self) -> u64 {
        self.engine.seed.unwrap_or(1)
    }

    fn site(&self, nf: &NfConfig, ports: Vec<String>, gates: Vec<u16>, seed: u64) -> Site {
        Site {
            name: nf.name.clone(),
            folder: self.folder.clone(),
            ports,
            gates,
            workers: self.engine.cores.len(),
            seed,
        }
    }

    /// Prepares every NF that can be, whatever else is wrong.
    pub(super) fn prepare_all(&self) -> (Vec<Option<Arc<dyn Prepared>>>, Vec<Diagnostic>) {
        let ports = self.open_ports();
        let mut diagnostics = Vec::new();
        let prepared = self
            .nfs
            .iter()
            .map(|nf| {
                let ends = |chain: &&ChainConfig| chain.path().last() == Some(&nf.name);
                let chain = self.chains.iter().find(ends);
                let gates = chain.map(|chain| chain.to().filter_map(|to| number(&ports, to)).collect());
                let site = self.site(nf, ports.clone(), gates.unwrap_or_default(), self.seed());
                prepare(nf, &site, &mut diagnostics)
            })
            .collect();
        (prepared, diagnostics)
    }

    /// Puts the plan together; `None` when an NF or a name is missing.
    fn assemble(&self, prepared: Vec<Option<Arc<dyn Prepared>>>) -> Option<Plan> {
        let names = self.open_ports();
        let mut ports = Vec::new();
        for port in self.ports.iter().filter(|port| names.contains(&port.name)) {
            ports.push(port.plan(match &port.device {
                PortDevice::Dpdk(device) => Device::Dpdk(device.clone()),
                PortDevice::Capture(path) if self.comes_in_by(&port.name) => {
                    Device::CaptureSource(path.clone())
                }
                PortDevice::Capture(path) => Device::CaptureSink(path.clone()),
            }));
        }
        let prepared: Option<Vec<_>> = prepared.into_iter().collect();
        // NFs in no chain are checked, and left out.
        let used = |nf: &NfConfig| self.chains.iter().any(|chain| chain.path().any(|name| name == nf.name));
        let (kept, nfs): (Vec<&str>, Vec<NfPlan>) = self
            .nfs
            .iter()
            .zip(prepared?)
            .filter(|(nf, _)| used(nf))
            .map(|(nf, prepared)| (nf.name.as_str(), plan_nf(nf, prepared)))
            .unzip();
        let chains: Option<Vec<ChainPlan>> = self
            .chains
            .iter()
            .map(|chain| {
                Some(ChainPlan {
                    name: chain.name.clone(),
                    from: number(&names, &chain.from)?,
                    matcher: chain.matcher.clone(),
                    path: chain
                        .path()
                        .map(|name| kept.iter().position(|nf| *nf == name))
                        .collect::<Option<_>>()?,
                    to: chain.to().map(|to| number(&names, to)).collect::<Option<_>>()?,
                    parallel: None,
                })
            })
            .collect();
        let mut chains = chains?;
        let ways_back = self.ways_back(&names, &kept, &chains);
        chains.extend(ways_back);
        Some(self.frame(ports, nfs, chains, self.seed()))
    }

    fn comes_in_by(&self, port: &str) -> bool {
        let leads_back = || self.doors().any(|(_, door)| door.way == Doorway::Back && door.port == port);
        self.chains.iter().any(|chain| chain.from == port) || leads_back()
    }

    /// A chain from each port by which packets come back to an NF behind ports: the NF sends them on in the chain from
    /// which they came.
    fn ways_back(&self, ports: &[String], nfs: &[&str], chains: &[ChainPlan]) -> Vec<ChainPlan> {
        let way = |(nf, door): (&NfConfig, Door)| {
            let index = nfs.iter().position(|name| *name == nf.name)?;
            let home = chains.iter().find(|chain| chain.path.contains(&index))?;
            Some(ChainPlan {
                name: format!("{} back by {}", nf.name, door.port),
                from: number(ports, &door.port)?,
                matcher: Expression::all(),
                path: vec![index],
                to: home.to.clone(),
                parallel: None,
            })
        };
        self.doors().filter(|(_, door)| door.way == Doorway::Back).filter_map(way).collect()
    }

    fn frame(&self, ports: Vec<PortPlan>, nfs: Vec<NfPlan>, chains: Vec<ChainPlan>, seed: u64) -> Plan {
        Plan {
            cores: self.engine.cores.clone(),
            helpers: Vec::new(),
            idle: self.engine.idle,
            buffers: self.engine.buffers,
            ports,
            nfs,
            chains,
            seed,
        }
    }

    /// Buffers for all that can be in flight, and memory for the buffers.
    fn check_buffers(&self, plan: &Plan, diagnostics: &mut Vec<Diagnostic>) {
        let needed = plan.buffers_needed();
        if let Some(count) = plan.buffers.count
            && count < needed
        {
            let message = format!("{count} buffers are fewer than the {needed} that can be in flight");
            diagnostics.push(
                Diagnostic::error(self.engine.buffers_span.clone(), message).help(format!(
                    "write count = {needed} or more, or leave it out, or use fewer descriptors"
                )),
            );
        }
        let megabytes = buffers::megabytes(plan);
        if let Some(memory) = self.engine.memory_mb
            && memory < megabytes
        {
            let message =
                format!("{memory} MB are less than the {megabytes} MB that the packet buffers take");
            diagnostics.push(
                Diagnostic::error(self.engine.memory_span.clone(), message)
                    .help(format!("write memory = \"{}M\" or more, or leave it out", megabytes + 64)),
            );
        }
    }
}

fn prepare(nf: &NfConfig, site: &Site, diagnostics: &mut Vec<Diagnostic>) -> Option<Arc<dyn Prepared>> {
    match nf.configured.prepare(site) {
        Ok(prepared) => {
            let remarks = prepared.remarks();
            remarks.into_iter().for_each(|remark| report(nf, remark, Severity::Warning, diagnostics));
            Some(prepared)
        }
        Err(error) => {
            report(nf, error, Severity::Error, diagnostics);
            None
        }
    }
}

/// All that a kind has to say of its configuration, each at its place.
fn report(nf: &NfConfig, error: ConfigError, severity: Severity, diagnostics: &mut Vec<Diagnostic>) {
    let ConfigError { key, message, help, also } = error;
    diagnostics.push(Diagnostic { span: nf.place(key.as_deref()), message, help, severity });
    also.into_iter().for_each(|other| report(nf, other, severity, diagnostics));
}

fn plan_nf(nf: &NfConfig, prepared: Arc<dyn Prepared>) -> NfPlan {
    NfPlan { name: nf.name.clone(), prepared, on_panic: nf.on_panic, snapshot: nf.snapshot }
}

fn number(ports: &[String], name: &str) -> Option<u16> {
    ports.iter().position(|port| port == name).and_then(|i| u16::try_from(i).ok())
}
