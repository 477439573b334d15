//! Prometheus' text format, as far as the service uses it.

/// A sample: a name, its labels as they stand in the text, and a value.
pub(crate) struct Line<'a> {
    pub name: &'a str,
    labels: &'a str,
    pub value: f64,
}

pub(crate) fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        Some(Line { name, labels: labels.trim_end_matches('}'), value: value.parse().ok()? })
    })
}

impl<'a> Line<'a> {
    /// The service's label values have no quotes, commas or backslashes.
    pub(crate) fn label(&self, name: &str) -> Option<&'a str> {
        let pairs = self.labels.split(',').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(key, _)| *key == name).map(|(_, value)| value.trim_matches('"')).next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read() {
        let text = "# HELP a b\na 1\nb{lane=\"writes\",le=\"+Inf\"} 2.5e1\nbroken\nc{} x\n";
        let read =
            Vec::from_iter(lines(text).map(|line| (line.name, line.label("lane"), line.label("le"), line.value)));
        assert_eq!(read, [("a", None, None, 1.0), ("b", Some("writes"), Some("+Inf"), 25.0)]);
    }
}
