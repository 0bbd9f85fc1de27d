//! A component's stanza in `config/tekton_components.yaml`, and the variable of its port.
//!
//! `tekton status` knows no component but those of that file, and none without its variable: where one is missing, all
//! of Tekton's programs end at their start.

use std::fmt;

use serde_json::Value;

/// A component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stanza {
    /// What Tekton's programs call it: lower case, with underscores.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// A line for people.
    pub description: String,
    /// Tekton's word for its kind.
    pub category: String,
    /// Its turn when Tekton starts everything: 6 is the last.
    pub startup_priority: u8,
    /// The ids of components it cannot do without.
    pub dependencies: Vec<String>,
    /// What it can be asked for by name.
    pub capabilities: Vec<String>,
}

impl Stanza {
    /// The variable that gives its port.
    #[must_use]
    pub fn port_variable(&self) -> String {
        format!("{}_PORT", self.id.to_uppercase())
    }
}

impl fmt::Display for Stanza {
    /// As YAML, indented for its place below `components:`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What quotes a text for JSON quotes it for YAML too (YAML 1.2, 1.3).
        let text = |text: &str| Value::from(text).to_string();
        let list: Vec<String> = self.dependencies.iter().map(|id| text(id)).collect();
        writeln!(f, "  {}:", self.id)?;
        writeln!(f, "    name: {}", text(&self.name))?;
        writeln!(f, "    description: {}", text(&self.description))?;
        writeln!(f, "    category: {}", text(&self.category))?;
        writeln!(f, "    startup_priority: {}", self.startup_priority)?;
        writeln!(f, "    dependencies: [{}]", list.join(", "))?;
        if !self.capabilities.is_empty() {
            writeln!(f, "    capabilities:")?;
        }
        self.capabilities
            .iter()
            .try_for_each(|capability| writeln!(f, "      - {}", text(capability)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the file has it at the commit that all of this was read from, but for its comment.
    const SOPHIA: &str = r#"  sophia:
    name: "Sophia"
    description: "Machine learning and system intelligence measurement"
    category: "ai"
    startup_priority: 4
    dependencies: ["hermes"]
    capabilities:
      - "intelligence_measurement"
      - "component_health_monitoring"
      - "ml_analysis"
"#;

    #[test]
    fn a_stanza_looks_as_tektons_own() {
        let sophia = Stanza {
            id: "sophia".into(),
            name: "Sophia".into(),
            description: "Machine learning and system intelligence measurement".into(),
            category: "ai".into(),
            startup_priority: 4,
            dependencies: vec!["hermes".into()],
            capabilities: [
                "intelligence_measurement",
                "component_health_monitoring",
                "ml_analysis",
            ]
            .map(str::to_owned)
            .into(),
        };
        assert_eq!(sophia.to_string(), SOPHIA);
        assert_eq!(sophia.port_variable(), "SOPHIA_PORT");
    }
}
