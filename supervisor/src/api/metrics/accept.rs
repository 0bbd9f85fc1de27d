//! Which format a scraper wants: its `Accept` header, with weights (RFC 9110, section 12.5.1).

use axum::http::{HeaderMap, header};

use crate::api::metrics::exposition::Format;

/// The version of OpenMetrics that is written.
const OPENMETRICS: &str = "1.0.0";

/// OpenMetrics where it is asked for by name and nothing is liked better; else the classic text, which every
/// scraper, browser and curl can read.
pub(crate) fn format(headers: &HeaderMap) -> Format {
    let ranges = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(Range::parse);
    let (mut openmetrics, mut classic) = (0.0_f32, 0.0_f32);
    for range in ranges {
        if range.is("application/openmetrics-text", OPENMETRICS) {
            openmetrics = openmetrics.max(range.weight);
        } else if range.is("text/plain", "0.0.4") {
            classic = classic.max(range.weight);
        }
    }
    if openmetrics > 0.0 && openmetrics >= classic {
        Format::OpenMetrics
    } else {
        Format::Classic
    }
}

/// One of the things a client takes.
struct Range<'a> {
    media: &'a str,
    version: Option<&'a str>,
    weight: f32,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let mut range = Self {
            media: parts.next().unwrap_or_default(),
            version: None,
            weight: 1.0,
        };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match name.trim() {
                name if name.eq_ignore_ascii_case("version") => range.version = Some(value),
                // A weight that is no number weighs nothing.
                name if name.eq_ignore_ascii_case("q") => {
                    range.weight = value.parse().unwrap_or(0.0)
                }
                _ => {}
            }
        }
        range
    }

    /// Whether this range takes that format; one that names no version takes any.
    fn is(&self, media: &str, version: &str) -> bool {
        self.media.eq_ignore_ascii_case(media)
            && self.version.is_none_or(|wanted| wanted == version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_the_one_that_is_liked_best() {
        use Format::{Classic, OpenMetrics};
        for (accept, wanted) in [
            ("", Classic),
            ("*/*", Classic),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Classic),
            ("application/openmetrics-text", OpenMetrics),
            ("application/openmetrics-text; version=1.0.0", OpenMetrics),
            (
                "APPLICATION/OpenMetrics-Text ; Version=\"1.0.0\" ; Q=0.5",
                OpenMetrics,
            ),
            ("application/openmetrics-text;version=2.0.0", Classic),
            ("application/openmetrics-text;version=0.0.1", Classic),
            ("application/openmetrics-text;q=0", Classic),
            ("application/openmetrics-text;q=nan", Classic),
            ("application/openmetrics-text;q=much", Classic),
            (
                "application/openmetrics-text;q=0.4,text/plain;version=0.0.4;q=0.5",
                Classic,
            ),
            (
                "text/plain;version=0.0.4;q=0.5,application/openmetrics-text;q=0.6",
                OpenMetrics,
            ),
            ("application/json", Classic),
            (";;==,,;q", Classic),
            // Prometheus 2.42, and 3.0.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                OpenMetrics,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                 application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
                 text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                OpenMetrics,
            ),
        ] {
            let mut headers = HeaderMap::new();
            for value in accept.split('\n').filter(|value| !value.is_empty()) {
                headers.append(header::ACCEPT, value.parse().unwrap());
            }
            assert_eq!(format(&headers), wanted, "{accept}");
        }
    }

    #[test]
    fn several_headers_count_as_one() {
        let mut headers = HeaderMap::new();
        for value in ["text/plain;q=0.2", "application/openmetrics-text;q=0.3"] {
            headers.append(header::ACCEPT, value.parse().unwrap());
        }
        assert_eq!(format(&headers), Format::OpenMetrics);
    }
}
