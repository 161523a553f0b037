//! The threads that look at a running engine from time to time and change it when that pays.

use crate::adaptation::Adaptation;
use crate::controller::Controller;
use crate::scaling::Scaling;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often settings are looked at that say how often to look: they may have changed.
const GLANCE: Duration = Duration::from_millis(500);

/// The threads; they end with it, and it asks the controller to stop.
pub struct Watch {
    controller: Arc<Controller>,
    threads: Vec<JoinHandle<()>>,
}

impl Watch {
    /// Begins to look: at chains every `[engine] replan`, at workers every `scale.every`.
    ///
    /// # Errors
    /// The system has no threads.
    pub fn start(controller: &Arc<Controller>) -> io::Result<Watch> {
        let mut watch = Watch { controller: Arc::clone(controller), threads: Vec::new() };
        let mut adaptation = Adaptation::default();
        watch.spawn(
            "control-adapt",
            |settings| settings.replan,
            move |controller| adaptation.look(controller),
        )?;
        let mut scaling = Scaling::default();
        watch.spawn(
            "control-scale",
            |settings| settings.scale.map(|scale| scale.every),
            move |controller| {
                if let Some(scale) = controller.settings().scale {
                    scaling.look(controller, scale);
                }
            },
        )?;
        Ok(watch)
    }

    fn spawn(
        &mut self,
        name: &str,
        period: fn(&crate::config::EngineSettings) -> Option<Duration>,
        mut look: impl FnMut(&Controller) + Send + 'static,
    ) -> io::Result<()> {
        let controller = Arc::clone(&self.controller);
        let body = move || {
            let mut last = Instant::now();
            loop {
                let period = period(&controller.settings());
                let left = period.map_or(GLANCE, |period| period.saturating_sub(last.elapsed()).min(GLANCE));
                if controller.wait_for_stop(left) {
                    return;
                }
                if period.is_some_and(|period| last.elapsed() >= period) {
                    last = Instant::now();
                    look(&controller);
                }
            }
        };
        self.threads.push(std::thread::Builder::new().name(name.to_owned()).spawn(body)?);
        Ok(())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.controller.request_stop();
        for thread in self.threads.drain(..) {
            // A panic there was printed, and the engine went on without it.
            let _ = thread.join();
        }
    }
}
