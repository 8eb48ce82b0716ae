//! `cargo xtask control-plane build`.
use clap::Args;
#[derive(Clone, Debug, Args)]
pub(crate) struct BuildArgs {}
pub(super) async fn run(_: &BuildArgs) -> anyhow::Result<()> {
    Ok(())
}
