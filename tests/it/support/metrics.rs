use std::collections::BTreeMap;

/// One scrape: every series with its value.
pub struct Metrics(BTreeMap<String, String>);

impl Metrics {
    pub fn parse(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(samples.map(sample).collect())
    }

    pub fn series(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The sum of a family's series that have all of these labels.
    pub fn sum(&self, family: &str, labels: &[(&str, &str)]) -> u64 {
        let counts = self.of(family).filter(|(series, _)| has(series, labels));
        counts.map(|(_, count)| whole(count)).sum()
    }

    /// The value of one series, which is written as in the text.
    pub fn value(&self, series: &str) -> f64 {
        let value = self.0.get(series).unwrap_or_else(|| panic!("no {series}"));
        value.parse().unwrap_or_else(|_| panic!("not a number: {value}"))
    }

    pub fn has(&self, family: &str, labels: &[(&str, &str)]) -> bool {
        self.of(family).any(|(series, _)| has(series, labels))
    }

    /// The distinct pairs of values that two labels have in a family.
    pub fn pairs(&self, family: &str, first: &str, second: &str) -> Vec<(String, String)> {
        let all = self.of(family).map(|(series, _)| (label(series, first), label(series, second)));
        let mut pairs: Vec<_> = all.collect();
        pairs.sort();
        pairs.dedup();
        pairs
    }

    fn of(&self, family: &str) -> impl Iterator<Item = (&str, &str)> {
        let family = format!("{family}{{");
        let all = self.0.iter().map(|(series, value)| (series.as_str(), value.as_str()));
        all.filter(move |(series, _)| series.starts_with(&family))
    }
}

fn sample(line: &str) -> (String, String) {
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("not a sample: {line}"));
    (series.to_owned(), value.to_owned())
}

fn whole(count: &str) -> u64 {
    count.parse().unwrap_or_else(|_| panic!("not a count: {count}"))
}

fn has(series: &str, labels: &[(&str, &str)]) -> bool {
    labels.iter().all(|(name, value)| label(series, name) == *value)
}

fn label(series: &str, name: &str) -> String {
    let start = [format!("{{{name}=\""), format!(",{name}=\"")];
    let value = start.iter().find_map(|start| series.split_once(start.as_str()));
    let (_, value) = value.unwrap_or_else(|| panic!("no label {name}: {series}"));
    value.split('"').next().unwrap_or_default().to_owned()
}
