//! Source files as text, and their imports within the crate.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The longest chain of modules that reexport an item.
const MAX_REEXPORTS: usize = 8;

/// A source file.
pub(crate) struct Source {
    /// Relative to the crate's folder of sources.
    pub(crate) path: String,
    /// Without comments.
    pub(crate) text: String,
}

/// The files of a crate, by their paths.
pub(crate) struct Sources {
    files: BTreeMap<String, Source>,
    /// The paths that each file reexports.
    reexports: BTreeMap<String, Vec<Vec<String>>>,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        Self { path: path.to_owned(), text: lines.collect::<Vec<_>>().join("\n") }
    }

    pub(crate) fn words(&self) -> impl Iterator<Item = &str> {
        self.text.split(|char: char| !char.is_alphanumeric() && char != '_')
    }

    /// The files of the modules that its paths name, including those in its unit tests.
    pub(crate) fn imports(&self, sources: &Sources) -> BTreeSet<String> {
        // In the unit tests' module, `super` is the file itself.
        let (code, tests) = (self.code(), self.text.get(self.code().len()..).unwrap_or_default());
        let tests = tests.replace("super::", "self::");
        self.resolved(code, sources, 0).into_iter().chain(self.resolved(&tests, sources, 0)).collect()
    }

    /// The files that define what it imports, without those of its unit tests. A `mod.rs` may only reexport an item.
    pub(crate) fn dependencies(&self, sources: &Sources) -> BTreeSet<String> {
        self.resolved(self.code(), sources, MAX_REEXPORTS)
    }

    fn resolved(&self, code: &str, sources: &Sources, reexports: usize) -> BTreeSet<String> {
        let paths = paths(code).into_iter();
        let files = paths.filter_map(|path| sources.resolve(&self.module(), &path, reexports));
        files.filter(|file| *file != self.path).collect()
    }

    /// The path of its module: `storage`, `engine`, `lane`.
    fn module(&self) -> Vec<String> {
        let path = self.path.trim_end_matches(".rs");
        let path = path.trim_end_matches("/mod").split('/');
        path.filter(|name| !["lib", "main"].contains(name)).map(str::to_owned).collect()
    }

    /// The file without its unit tests.
    fn code(&self) -> &str {
        self.text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default()
    }
}

impl Sources {
    /// Reads the source files in a folder of the package.
    pub(crate) fn read(folder: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let (mut folders, mut files) = (vec![root.clone()], BTreeMap::new());
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
                    files.insert(name.to_owned(), Source::new(name, &std::fs::read_to_string(&path).unwrap()));
                }
            }
        }
        let passed_on = |source: &Source| {
            let public = uses(&source.text).filter(|(is_public, _)| *is_public);
            public.flat_map(|(_, tree)| leaves(&tree)).collect()
        };
        let reexports = files.iter().map(|(path, source)| (path.clone(), passed_on(source))).collect();
        Self { files, reexports }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Source> {
        self.files.values()
    }

    pub(crate) fn get(&self, path: &str) -> Option<&Source> {
        self.files.get(path)
    }

    /// The first circle of files that import each other, if there is one. A module may use its submodules, and they may
    /// use it.
    pub(crate) fn circle_of_files(&self) -> Option<Vec<String>> {
        let imports = |source: &Source| {
            let files = source.dependencies(self).into_iter();
            files.filter(|file| !are_parent_and_child(file, &source.path)).collect()
        };
        circle(&self.iter().map(|source| (source.path.clone(), imports(source))).collect())
    }

    /// The first circle of folders that import each other. A folder may import the folders in it.
    pub(crate) fn circle_of_folders(&self) -> Option<Vec<String>> {
        let mut graph: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for source in self.iter() {
            let folders = graph.entry(self.folder(source).to_owned()).or_default();
            for file in source.dependencies(self).iter().filter_map(|file| self.get(file)) {
                let is_own =
                    are_parent_and_child(&file.path, &source.path) || is_within(self.folder(file), self.folder(source));
                if !is_own {
                    folders.push(self.folder(file).to_owned());
                }
            }
        }
        circle(&graph)
    }

    /// The files that import something which a folder above theirs defines.
    pub(crate) fn imports_upwards(&self) -> Vec<String> {
        let mut found = Vec::new();
        for source in self.iter() {
            for file in source.dependencies(self).iter().filter_map(|file| self.get(file)) {
                let is_above =
                    is_within(self.folder(source), self.folder(file)) && self.folder(source) != self.folder(file);
                if is_above && !are_parent_and_child(&file.path, &source.path) {
                    found.push(format!("{} imports {}", source.path, file.path));
                }
            }
        }
        found
    }

    /// The file to which a path in a module leads, through at most `reexports` modules that reexport the item.
    fn resolve(&self, module: &[String], path: &[String], reexports: usize) -> Option<String> {
        let is_absolute = path.first().is_some_and(|first| ["crate", "user_service"].contains(&first.as_str()));
        let mut at = if is_absolute { Vec::new() } else { module.to_vec() };
        let mut rest = path.iter();
        for name in rest.by_ref() {
            match name.as_str() {
                "crate" | "self" | "user_service" => {}
                "super" => drop(at.pop()),
                _ => {
                    at.push(name.clone());
                    if self.file(&at).is_some() {
                        continue;
                    }
                    at.pop();
                    let is_foreign = at == module && path.first() == Some(name);
                    if is_foreign {
                        return None;
                    }
                    let reexport = self.reexport(&at, name).filter(|_| reexports > 0);
                    return match reexport {
                        Some(path) => self.resolve(&at, &path, reexports - 1),
                        None => self.file(&at),
                    };
                }
            }
        }
        self.file(&at)
    }

    /// The folder of a file. `x/` counts as part of the folder that contains `x.rs`.
    fn folder<'a>(&self, source: &'a Source) -> &'a str {
        let mut folder = source.path.as_str();
        loop {
            folder = folder.rsplit_once('/').map_or("", |(folder, _)| folder);
            if !self.files.contains_key(&format!("{folder}.rs")) {
                return folder;
            }
        }
    }

    fn file(&self, module: &[String]) -> Option<String> {
        let path = module.join("/");
        let candidates = if path.is_empty() {
            ["lib.rs".to_owned(), "main.rs".to_owned()]
        } else {
            [format!("{path}.rs"), format!("{path}/mod.rs")]
        };
        candidates.into_iter().find(|path| self.files.contains_key(path))
    }

    /// The path from which a module reexports a name.
    fn reexport(&self, module: &[String], name: &str) -> Option<Vec<String>> {
        let passed_on = self.reexports.get(&self.file(module)?)?;
        passed_on.iter().find(|path| path.last().is_some_and(|last| last == name)).cloned()
    }
}

/// Whether a folder is another one or in it. All folders are in the root.
fn is_within(folder: &str, other: &str) -> bool {
    folder == other || other.is_empty() || folder.starts_with(&format!("{other}/"))
}

fn are_parent_and_child(one: &str, other: &str) -> bool {
    let folder =
        |path: &str| path.trim_end_matches("mod.rs").trim_end_matches(".rs").trim_end_matches('/').to_owned() + "/";
    one.starts_with(&folder(other)) || other.starts_with(&folder(one))
}

/// A circle in a graph of names. Follows edges until a name repeats.
fn circle(graph: &BTreeMap<String, Vec<String>>) -> Option<Vec<String>> {
    fn visit<'a>(
        name: &'a str,
        graph: &'a BTreeMap<String, Vec<String>>,
        path: &mut Vec<&'a str>,
        done: &mut BTreeSet<&'a str>,
    ) -> Option<Vec<String>> {
        if let Some(at) = path.iter().position(|other| *other == name) {
            return Some(path.split_off(at).into_iter().map(str::to_owned).collect());
        }
        if done.contains(name) {
            return None;
        }
        path.push(name);
        let found = graph.get(name).into_iter().flatten().find_map(|next| visit(next, graph, path, done));
        if found.is_none() {
            path.pop();
            done.insert(name);
        }
        found
    }
    let mut done = BTreeSet::new();
    graph.keys().find_map(|name| visit(name, graph, &mut Vec::new(), &mut done))
}

/// The paths in `use` declarations and in the code. A path into another crate resolves to no file later.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut paths = Vec::from_iter(uses(code).flat_map(|(_, tree)| leaves(&tree)));
    let is_use = |statement: &&str| {
        let line = statement.rsplit('\n').find(|line| !line.trim().is_empty());
        uses(statement).next().is_some() || line.is_some_and(|line| line.trim_start().starts_with("use "))
    };
    for statement in code.split_inclusive(';').filter(|statement| !is_use(statement)) {
        let words = statement.split(|char: char| !char.is_alphanumeric() && char != '_' && char != ':');
        let names =
            |word: &str| word.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        paths.extend(words.filter(|word| word.contains("::")).map(names));
    }
    paths.retain(|path| path.len() > 1 && path.last().is_none_or(|last| last != "*"));
    paths
}

/// The `use` declarations: whether each is a reexport, and its tree.
fn uses(code: &str) -> impl Iterator<Item = (bool, String)> {
    code.split(';').filter_map(|statement| {
        let statement = statement.rsplit(['}', '\n']).next().map_or(statement, |_| statement);
        let at = statement.rfind("use ").filter(|at| statement[..*at].ends_with(['\n', ' ', '\t']) || *at == 0)?;
        let before = statement[..at].rsplit('\n').next().unwrap_or_default().trim();
        (before.is_empty() || before.starts_with("pub"))
            .then(|| (before.starts_with("pub"), statement[at + 4..].to_owned()))
    })
}

/// The paths of a tree: `a::{b, c::d as e}` is `a::b` and `a::c::d`.
fn leaves(tree: &str) -> Vec<Vec<String>> {
    let tree = tree.trim();
    let Some((start, list)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        return vec![path.split("::").map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()];
    };
    let start = Vec::from_iter(start.split("::").map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()));
    let list = list.strip_suffix('}').unwrap_or(list);
    let mut items = vec![String::new()];
    let mut depth = 0;
    for char in list.chars() {
        match char {
            ',' if depth == 0 => items.push(String::new()),
            _ => {
                depth += i32::from(char == '{') - i32::from(char == '}');
                items.last_mut().unwrap().push(char);
            }
        }
    }
    let items = items.iter().filter(|item| !item.trim().is_empty());
    items.flat_map(|item| leaves(item)).map(|leaf| start.iter().cloned().chain(leaf).collect()).collect()
}
