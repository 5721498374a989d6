//! The loop that makes deliveries. Files, mails and what is asked of services have slots of their own, so that a slow server
//! stops no notes. None touches the meeting again before everything else is where it belongs.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use jiff::Timestamp;

use super::{
    files::deliver_file,
    in_flight::InFlightDeliveries,
    mail::{Mailer, deliver_mail},
    remote::deliver_remotely,
};
use crate::{
    clock,
    config::Settings,
    runtime::{DISK_RETRY, Runtime, sleep_until},
    store::{Delivery, Lane, StoreError},
};

/// Files written at once: they share one disk.
const FILES_MAX: usize = 2;

/// Mails under way at once: what a mail server takes from one client without minding.
const MAILS_MAX: usize = 2;

/// Deletions at services under way at once: they are few, and none is urgent.
const REMOTE_MAX: usize = 2;

/// Makes the deliveries that are due.
#[derive(Debug)]
pub(crate) struct DeliveryRunner {
    pub(super) runtime: Arc<Runtime>,
    in_flight: InFlightDeliveries,
    /// The mailer, with the settings that it was made of.
    mailer: Mutex<Option<(Arc<Settings>, Mailer)>>,
    /// The folders, by id, in which recordings whose time is over are being deleted.
    pub(super) expiring: Mutex<BTreeSet<String>>,
}

impl DeliveryRunner {
    /// Returns a runner that makes nothing yet.
    #[must_use]
    pub(crate) fn new(runtime: Arc<Runtime>) -> Self {
        Self {
            runtime,
            in_flight: InFlightDeliveries::default(),
            mailer: Mutex::new(None),
            expiring: Mutex::default(),
        }
    }

    /// Makes deliveries until the daemon stops.
    pub(crate) async fn run(self: Arc<Self>) {
        let runtime = &self.runtime;
        while !runtime.stop.is_cancelled() {
            let wake = match self.start_due().await {
                Ok(wake) => wake,
                Err(error) => {
                    runtime.queue_failed("read what is to be delivered", &error);
                    Some(clock::now() + Duration::from_secs(5))
                }
            };
            tokio::select! {
                () = runtime.stop.cancelled() => {}
                () = runtime.deliveries.notified() => {}
                () = sleep_until(wake) => {}
            }
        }
    }

    /// Returns the mailer of the settings in force, where mail is set up. It lives as long as they do: it remembers what
    /// the server has refused.
    #[must_use]
    pub(crate) fn current_mailer(&self, settings: &Arc<Settings>) -> Option<Mailer> {
        let email = settings.email.as_ref()?;
        let mut current = self.mailer.lock().unwrap_or_else(PoisonError::into_inner);
        match &*current {
            Some((of, mailer)) if Arc::ptr_eq(of, settings) => Some(mailer.clone()),
            Some(_) | None => {
                let mailer = Mailer::new(email);
                *current = Some((Arc::clone(settings), mailer.clone()));
                Some(mailer)
            }
        }
    }

    /// Starts as many deliveries as are due and have a slot; returns when the next one is due.
    async fn start_due(self: &Arc<Self>) -> Result<Option<Timestamp>, StoreError> {
        let runtime = &self.runtime;
        runtime.follow_clock().await?;
        // What comes due in the meantime wakes the loop again.
        let begun = clock::now();
        if runtime.disk_full.load(Ordering::Relaxed) {
            // What cannot be recorded would be made again and again.
            return Ok(Some(begun + DISK_RETRY));
        }
        self.in_flight.forget_ended();
        for (lane, slots) in
            [(Lane::Files, FILES_MAX), (Lane::Mails, MAILS_MAX), (Lane::Remote, REMOTE_MAX)]
        {
            let busy = self.in_flight.count_entries(lane);
            // Those in flight are still due in the queue: ask for as many more.
            let due = runtime.queue.deliveries().list_due(lane, begun, slots + busy).await?;
            for delivery in due {
                if self.in_flight.busy_slots(lane) < slots
                    && self.in_flight.begin_delivery((lane, delivery.id))
                {
                    self.start_delivery(lane, delivery);
                }
            }
        }
        runtime.queue.deliveries().next_due(begun).await
    }

    fn start_delivery(self: &Arc<Self>, lane: Lane, delivery: Delivery) {
        let runner = Arc::clone(self);
        self.runtime.tasks.spawn(async move {
            let runtime = &runner.runtime;
            let made = match lane {
                Lane::Files => deliver_file(runtime, &runner.in_flight, &delivery).await,
                Lane::Mails => deliver_mail(&runner, &delivery).await,
                Lane::Remote => tokio::select! {
                    made = deliver_remotely(runtime, &delivery) => made,
                    // It is made again, and finds what it did.
                    () = runtime.stop.cancelled() => Ok(()),
                },
            };
            if let Err(error) = made {
                runtime.queue_failed("record a delivery", &error);
            }
            runner.in_flight.end_delivery((lane, delivery.id));
            runtime.deliveries.notify_one();
        });
    }
}
