//! `tca demo`: everything in one process, with sample data and a Twitch of its own.

use std::fmt::Write as _;

use tokio_util::sync::CancellationToken;

use super::{Failure, Start, print, signals};
use crate::{
    demo::{Demo, LIVE_ROOM, Moved, WAVE_WITHIN},
    simulator::cast::HERO,
    telemetry,
};

/// Runs the demo until a signal stops it.
pub async fn run(start: &Start) -> Result<(), Failure> {
    let demo = Demo::open(&start.env, Start::is_terminal())?;
    telemetry::install_logs(&demo.settings().log);
    telemetry::install_metrics();
    let stop = CancellationToken::new();
    let work = async {
        print("Preparing channels, people and captures of the past months ...\n");
        let world = tokio::select! {
            world = demo.fill() => world?,
            () = stop.cancelled() => return Ok(()),
        };
        print(&welcome(demo.url(), &demo.control_url(), demo.moved()));
        demo.run(world, stop.clone()).await
    };
    signals::until_stopped(&stop, Box::pin(work)).await??;
    print("\nThe demo has ended; its data are removed.\n");
    Ok(())
}

/// What to do with the demo.
fn welcome(url: &str, control_url: &str, moved: &[Moved]) -> String {
    let minutes = WAVE_WITHIN.as_secs() / 60;
    let mut text = format!(
        "\n  Open  {url}\n\n  \
         1. Press \"Continue with Twitch\" and pick {HERO}. Nobody there is real.\n  \
         2. Under Channels, press Capture at {LIVE_ROOM}.\n  \
         3. Within {minutes} minutes a wave of accounts comes into that chat: capture it again, then open Analysis.\n\n  \
         The simulated Twitch can be directed at {control_url}\n"
    );
    if !moved.is_empty() {
        let ports: Vec<String> =
            moved.iter().map(|port| format!("{} {} (not {})", port.who, port.chosen, port.usual)).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  Some usual ports are taken. Instead: {}", ports.join(", "));
    }
    text.push_str("  Ctrl-C ends the demo and removes everything it stored.\n\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_welcome_says_where_and_what_and_which_ports_moved() {
        let moved = [Moved { who: "gateway", usual: 8080, chosen: 40_123 }];
        let text = welcome("http://localhost:40123", "http://localhost:8090/control", &moved);
        assert!(text.contains("Open  http://localhost:40123\n"), "{text}");
        assert!(text.contains("gateway 40123 (not 8080)") && text.contains("Ctrl-C"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
        assert!(!welcome("http://localhost:8080", "http://localhost:8090/control", &[]).contains("taken"));
    }
}
