//! Opens an instance: the database, and the root key that belongs to it.

use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use domain::Sources;
use domain::record::DeploymentRecord;
use store::Store;
use vault::kms::local::LocalKms;
use vault::root_key::{RootKey, RootKeySource};
use vault::{Kms, Root};

use crate::config::{Config, Loaded};

/// An instance whose database and root key fit together.
pub(crate) struct Instance {
    pub(crate) store: Store,
    pub(crate) root: Root,
    pub(crate) deployment: DeploymentRecord,
}

/// Opens the instance. With `create`, a new database gets a deployment and, if need be, a root key file.
///
/// Fails, naming the key ids, when the root key is missing, badly guarded or another instance's; nothing
/// is changed then.
pub(crate) async fn open(
    loaded: Loaded,
    sources: &Sources,
    create: bool,
) -> anyhow::Result<Instance> {
    let Loaded { config, root_key } = loaded;
    prepare_data_dir(&config.data_dir, create)?;
    let store = Store::open(&database_url(&config)?)
        .await
        .context("cannot open the database")?;
    let known = store
        .system()
        .deployment()
        .await
        .context("cannot read the deployment")?;

    let key_file = root_key_file(&config);
    let source = match root_key {
        Some(text) => {
            ensure!(
                config.root_key_command.is_empty() && config.root_key_file.is_none(),
                "KEYBEARER_ROOT_KEY is set together with root_key_file or root_key_command: name one source"
            );
            RootKeySource::Env(text)
        }
        None if !config.root_key_command.is_empty() => {
            ensure!(
                config.root_key_file.is_none(),
                "name one of root_key_file and root_key_command"
            );
            RootKeySource::Command(config.root_key_command.clone())
        }
        None => RootKeySource::File(key_file.clone()),
    };
    let is_file = matches!(source, RootKeySource::File(_));
    let root_key = if is_file && !key_file.exists() && !key_file.is_symlink() {
        match &known {
            Some(record) => bail!(
                "the root key is missing: this database belongs to deployment {} and needs the key {}, \
                 but {} does not exist; restore it from where you keep it",
                record.id,
                record.kms_key,
                key_file.display()
            ),
            None if create => create_root_key(&key_file, sources)?,
            None => bail!(
                "this instance was never started: there is no root key at {}",
                key_file.display()
            ),
        }
    } else {
        source.load().context("the root key is refused")?
    };

    let kms: Arc<dyn Kms> = Arc::new(LocalKms::new(root_key, sources.random.clone()));
    let (root, deployment) = match known {
        Some(record) => {
            let root = Root::open(kms, sources.clone(), &record)
                .await
                .context("the root key does not open this database")?;
            (root, record)
        }
        None if create => {
            let (root, record) = Root::create(kms, sources.clone()).await?;
            store
                .system()
                .insert_deployment(&record)
                .await
                .context("cannot store the new deployment")?;
            tracing::info!(deployment.id = %record.id, "created deployment {}", record.id);
            (root, record)
        }
        None => bail!("this database was never started by `keybearer serve`"),
    };
    Ok(Instance {
        store,
        root,
        deployment,
    })
}

fn create_root_key(path: &Path, sources: &Sources) -> anyhow::Result<RootKey> {
    let key = RootKeySource::create_file(path, &sources.random)
        .with_context(|| format!("cannot create the root key {}", path.display()))?;
    tracing::warn!(
        "created the root key {}; keep a copy apart from the database's backups",
        path.display()
    );
    Ok(key)
}

fn root_key_file(config: &Config) -> PathBuf {
    config
        .root_key_file
        .clone()
        .unwrap_or_else(|| config.data_dir.join("root.key"))
}

fn database_url(config: &Config) -> anyhow::Result<String> {
    if let Some(url) = &config.database_url {
        return Ok(url.clone());
    }
    let directory = std::path::absolute(&config.data_dir).context("option data_dir")?;
    let path = directory.join("keybearer.db");
    let path = path.to_str().context("option data_dir is not UTF-8")?;
    Ok(format!("sqlite://{path}"))
}

/// The directory is made for its owner only; one that others can write is refused.
fn prepare_data_dir(directory: &Path, create: bool) -> anyhow::Result<()> {
    if create && !directory.exists() {
        let made = std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory);
        made.with_context(|| format!("cannot create data_dir {}", directory.display()))?;
    }
    let metadata = directory
        .metadata()
        .with_context(|| format!("data_dir {}", directory.display()))?;
    ensure!(
        metadata.is_dir(),
        "data_dir {} is not a directory",
        directory.display()
    );
    ensure!(
        metadata.permissions().mode() & 0o022 == 0,
        "data_dir {} can be written by others; make it owner-only: chmod 700",
        directory.display()
    );
    Ok(())
}
