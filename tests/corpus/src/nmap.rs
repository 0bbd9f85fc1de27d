//! What nmap finds out from outside, for comparison: `nmap -sV` on the published loopback ports.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::entry::Expected;

/// What nmap says of a port, and how long it took for all that it was asked.
#[derive(Clone, Debug)]
pub struct Scan {
    /// Its words for each port, in the order of the question: product and version, or the service's name alone, with a question mark where it guesses
    /// by the port.
    pub words: Vec<String>,
    /// From its start to its end.
    pub took: Duration,
}

impl Scan {
    /// Whether it names the service on any of its ports: what it takes from its table of ports is no name.
    #[must_use]
    pub fn names(&self, truth: &Expected) -> bool {
        let mut told = self.words.iter().filter(|it| !it.ends_with('?'));
        told.any(|told| {
            let mut names = truth.names.iter().chain([&truth.kind]);
            names.any(|name| told.to_lowercase().contains(name.as_str()))
        })
    }
}

/// Scans ports of the host's loopback.
///
/// # Errors
/// Where nmap is not installed or fails.
pub fn scan(ports: &[u16]) -> Result<Scan> {
    let list = ports
        .iter()
        .map(u16::to_string)
        .collect::<Vec<_>>()
        .join(",");
    let start = Instant::now();
    let output = Command::new("nmap")
        .args(["-sV", "-Pn", "-n", "-p", &list, "-oX", "-", "127.0.0.1"])
        .stdin(Stdio::null())
        .output()
        .context("nmap (deploy/scripts/corpus.sh installs it)")?;
    let took = start.elapsed();
    ensure!(
        output.status.success(),
        "nmap: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let told = String::from_utf8_lossy(&output.stdout);
    // nmap tells them by number, whatever the order of the question.
    let elements: Vec<&str> = told.split("<port ").skip(1).collect();
    let of = |port: &u16| {
        let id = format!("portid=\"{port}\"");
        let element = elements.iter().find(|it| it.contains(&id));
        element.map_or("-".to_owned(), |it| words(it))
    };
    let words = ports.iter().map(of).collect();
    Ok(Scan { words, took })
}

/// A `<port>` element in words.
fn words(port: &str) -> String {
    let service = port
        .split("</port>")
        .next()
        .and_then(|it| it.split_once("<service "));
    let Some((_, service)) = service else {
        return "-".to_owned();
    };
    let service = service.split('>').next().unwrap_or_default();
    let name = attribute(service, "name").unwrap_or("-");
    match (attribute(service, "product"), attribute(service, "version")) {
        (Some(product), Some(version)) => format!("{product} {version}"),
        (Some(product), None) => product.to_owned(),
        _ if attribute(service, "method") == Some("table") => format!("{name}?"),
        _ => name.to_owned(),
    }
}

/// The value of an attribute, its entities left as they are.
fn attribute<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    let (_, after) = element.split_once(&format!("{name}=\""))?;
    after.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_words() {
        let redis = r#"protocol="tcp" portid="6379"><state state="open"/><service name="redis" product="Redis key-value store" version="7.0.15" method="probed" conf="10"><cpe>x</cpe></service></port>"#;
        assert_eq!(words(redis), "Redis key-value store 7.0.15");
        let guess = r#"protocol="tcp" portid="8000"><state state="open"/><service name="http-alt" method="table" conf="3"/></port>"#;
        assert_eq!(words(guess), "http-alt?");
        assert_eq!(words(r#"portid="1"><state state="closed"/></port>"#), "-");
    }
}
