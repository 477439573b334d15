//! The operator's schema for attributes, which can be replaced while the service runs.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use crate::domain::{AttributesSchema, InvalidSchema};

/// The file of a schema. Clones share what was read of it last.
#[derive(Clone, Debug)]
pub struct AttributesSchemaFile(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    current: RwLock<Arc<AttributesSchema>>,
}

/// Why there is no schema.
#[derive(Debug, thiserror::Error)]
pub enum SchemaFileError {
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error("is no JSON Schema: {0}")]
    Invalid(#[from] InvalidSchema),
}

impl AttributesSchemaFile {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or is no schema.
    pub fn read(path: PathBuf) -> Result<Self, SchemaFileError> {
        let current = RwLock::new(read(&path)?);
        Ok(Self(Arc::new(Shared { path, current })))
    }

    /// Reads the file again, for writes from now on.
    ///
    /// # Errors
    /// Those of [`Self::read`]. The schema then stays as it was.
    pub fn reload(&self) -> Result<(), SchemaFileError> {
        let new = read(&self.0.path)?;
        *self.0.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// The schema.
    #[must_use]
    pub fn current(&self) -> Arc<AttributesSchema> {
        Arc::clone(&self.0.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn read(path: &PathBuf) -> Result<Arc<AttributesSchema>, SchemaFileError> {
    Ok(Arc::new(AttributesSchema::parse(&std::fs::read_to_string(path)?)?))
}
