//! Opens an instance: the database, and the root key that belongs to it.

use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use domain::record::DeploymentRecord;
use domain::{Secret, Sources};
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

/// Opens the instance for serving; a new database gets a deployment and, if need be, a root key file.
///
/// Fails, naming the key ids, when the root key is missing, badly guarded or another instance's; then no
/// stored record is touched and no key is made.
pub(crate) async fn open_or_create(loaded: Loaded, sources: &Sources) -> anyhow::Result<Instance> {
    let Loaded {
        config, root_key, ..
    } = loaded;
    if !config.data_dir.exists() {
        let mut builder = std::fs::DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(&config.data_dir);
        made.with_context(|| format!("cannot create data_dir {}", config.data_dir.display()))?;
    }
    check_data_dir(&config.data_dir)?;
    let store = Store::open(&database_url(&config)?)
        .await
        .context("cannot open the database")?;
    let source = root_key_source(&config, root_key)?;
    let known = store
        .system()
        .deployment()
        .await
        .context("cannot read the deployment")?;
    if let Some(record) = known {
        return unlock(store, record, &source, sources).await;
    }
    let root_key = match &source {
        RootKeySource::File(path) if is_missing(path) => create_root_key(path, sources)?,
        source => source.load().context("the root key is refused")?,
    };
    let kms: Arc<dyn Kms> = Arc::new(LocalKms::new(root_key, sources.random.clone()));
    let (root, deployment) = Root::create(kms, sources.clone()).await?;
    let stored = store.system().insert_deployment(&deployment).await;
    stored.context("cannot store the new deployment")?;
    tracing::info!(deployment.id = %deployment.id, "created deployment {}", deployment.id);
    Ok(Instance {
        store,
        root,
        deployment,
    })
}

/// Opens an instance that was started before; creates and migrates nothing.
pub(crate) async fn open_existing(loaded: Loaded, sources: &Sources) -> anyhow::Result<Instance> {
    let Loaded {
        config, root_key, ..
    } = loaded;
    check_data_dir(&config.data_dir)?;
    let store = Store::open_existing(&database_url(&config)?)
        .await
        .context("cannot open the database")?;
    let source = root_key_source(&config, root_key)?;
    let known = store
        .system()
        .deployment()
        .await
        .context("cannot read the deployment")?;
    let record = known.context("this database was never started by `keybearer serve`")?;
    unlock(store, record, &source, sources).await
}

/// Whether there may be a database: it is named, or its file is there.
pub(crate) fn is_there(config: &Config) -> bool {
    config.database_url.is_some() || config.data_dir.join("keybearer.db").exists()
}

/// What can be said of the options without opening anything.
pub(crate) fn check(loaded: Loaded) -> anyhow::Result<()> {
    let Loaded {
        config, root_key, ..
    } = loaded;
    database_url(&config)?;
    if config.data_dir.exists() {
        check_data_dir(&config.data_dir)?;
    }
    root_key_source(&config, root_key).map(drop)
}

async fn unlock(
    store: Store,
    deployment: DeploymentRecord,
    source: &RootKeySource,
    sources: &Sources,
) -> anyhow::Result<Instance> {
    if let RootKeySource::File(path) = source
        && is_missing(path)
    {
        bail!(
            "the root key is missing: this database belongs to deployment {} and needs the key {}, \
             but {} does not exist; restore it from where you keep it",
            deployment.id,
            deployment.kms_key,
            path.display()
        );
    }
    let root_key = source.load().context("the root key is refused")?;
    let kms: Arc<dyn Kms> = Arc::new(LocalKms::new(root_key, sources.random.clone()));
    let root = Root::open(kms, sources.clone(), &deployment).await;
    let root = root.context("the root key does not open this database")?;
    Ok(Instance {
        store,
        root,
        deployment,
    })
}

/// The one source that the configuration names.
fn root_key_source(config: &Config, variable: Option<Secret>) -> anyhow::Result<RootKeySource> {
    let file = config.root_key_file.clone();
    let command = Some(&config.root_key_command).filter(|command| !command.is_empty());
    match (variable, command, file) {
        (Some(text), None, None) => Ok(RootKeySource::Env(text)),
        (None, Some(command), None) => Ok(RootKeySource::Command(command.clone())),
        (None, None, file) => Ok(RootKeySource::File(
            file.unwrap_or_else(|| config.data_dir.join("root.key")),
        )),
        _ => bail!(
            "KEYBEARER_ROOT_KEY, root_key_file and root_key_command exclude each other: name one"
        ),
    }
}

/// A dangling link is not missing: it is refused when it is read.
fn is_missing(path: &Path) -> bool {
    !path.exists() && !path.is_symlink()
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

fn database_url(config: &Config) -> anyhow::Result<String> {
    if let Some(url) = &config.database_url {
        return Ok(url.clone());
    }
    let directory = std::path::absolute(&config.data_dir).context("option data_dir")?;
    let path = directory.join("keybearer.db");
    let path = path.to_str().context("option data_dir is not UTF-8")?;
    Ok(format!("sqlite://{path}"))
}

/// A directory that others can write is refused: they could replace what is in it.
fn check_data_dir(directory: &Path) -> anyhow::Result<()> {
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
