//! x
use clap::Args;
#[derive(Clone, Debug, Args)]
pub(crate) struct ScaleArgs {}
pub(super) async fn run(_args: ScaleArgs) -> anyhow::Result<()> {
    Ok(())
}
