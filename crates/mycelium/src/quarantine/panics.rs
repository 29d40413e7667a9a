//! Panics: whichever thread of the process has one, it is noted against what is in hand at that moment.
//!
//! Most end something smaller than the process, and what is in hand settles nevertheless: then the note goes again.

use std::panic::{PanicHookInfo, set_hook, take_hook};
use std::sync::{Arc, Mutex, Once, PoisonError, Weak};

use super::{Quarantine, Shared};

/// The quarantine of this process.
static CURRENT: Mutex<Weak<Shared>> = Mutex::new(Weak::new());
static HOOK: Once = Once::new();

/// Has panics noted there from now on, beside what is done about them already.
pub(super) fn report_to(quarantine: &Quarantine) {
    *CURRENT.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&quarantine.0);
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            // Held for a moment only, and never by who panics.
            let current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
            if let Some(shared) = current {
                Quarantine(shared).accuse(&describe(info));
            }
            before(info);
        }));
    });
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let said = info.payload_as_str().unwrap_or("it says nothing");
    let place = info.location().map(|at| format!(" at {}:{}", at.file(), at.line())).unwrap_or_default();
    format!("panic: {said}{place}")
}
